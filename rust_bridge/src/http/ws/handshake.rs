// SPDX-License-Identifier: MIT OR Apache-2.0
//! The handshake: RFC 6455, 4.1. No extension is offered.

use std::sync::Arc;

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use reqwest::header::{
    HeaderMap, HeaderName, HeaderValue, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use reqwest::{Response, StatusCode, Upgraded, Version};
use ring::digest::{digest, SHA1_FOR_LEGACY_USE_ONLY};
use ring::rand::{SecureRandom, SystemRandom};

use crate::http::client::Client;
use crate::http::errors::{failure, EHTTP_OTHER, EWS_PROTOCOL, EWS_REFUSED};
use crate::http::exchange::Found;
use crate::http::request::{unpack, Parts, Schemes};
use crate::http::Head;
use crate::outcome::Outcome;
use crate::sys::errno;

/// Sends the request. The connection, if the server accepts it; otherwise its response is found.
pub async fn open(
    client: &Arc<Client>,
    parts: Parts<'_>,
    protocols: &[u8],
    found: &mut Found,
) -> Result<Upgraded, Outcome> {
    let mut request = unpack(client.http()?, Schemes::Ws, parts, None)?.request;
    let key = new_key()?;
    let accept = accept(&key);
    add_headers(request.headers_mut(), key, protocols).map_err(invalid)?;
    let sent = client.get_http1(request.url()).await?.execute(request);
    let response = client.in_read_time(sent).await?.map_err(|e| failure(&e))?;
    let head = Head::of(&response);
    if let Err(refused) = check(&response, &accept, protocols) {
        found.head = Some(head);
        return Err(refused);
    }
    let upgraded = response.upgrade().await.map_err(|e| failure(&e))?;
    found.publish_head(head);
    Ok(upgraded)
}

fn invalid(why: String) -> Outcome {
    Outcome::error(errno(libc::EINVAL), why)
}

fn new_key() -> Result<String, Outcome> {
    let mut key = [0; 16];
    let filled = SystemRandom::new().fill(&mut key);
    filled.map_err(|_| Outcome::error(EHTTP_OTHER, "the system has no random numbers"))?;
    Ok(STANDARD.encode(key))
}

/// The Sec-WebSocket-Accept for a key.
fn accept(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    STANDARD.encode(digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// Adds the client's headers to those of the caller.
fn add_headers(headers: &mut HeaderMap, key: String, protocols: &[u8]) -> Result<(), String> {
    for name in headers.keys() {
        if *name == CONNECTION || name.as_str().starts_with("sec-websocket-") {
            return Err(format!("{name} must not be set by the caller: omit it"));
        }
    }
    if !protocols.is_empty() {
        let bad = || "protocols is not a list of names: use \"one, other\"".to_owned();
        if !list(protocols).all(is_token) {
            return Err(bad());
        }
        let value = HeaderValue::from_bytes(protocols).map_err(|_| bad())?;
        headers.insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
    let key = HeaderValue::try_from(key).map_err(|e| e.to_string())?;
    headers.insert(SEC_WEBSOCKET_KEY, key);
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    Ok(())
}

/// The elements of a header's value that is a list.
fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(<[u8]>::trim_ascii)
}

fn is_token(name: &[u8]) -> bool {
    HeaderName::from_bytes(name).is_ok() // which has the same characters
}

/// The value of a header that occurs once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a [u8]> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(value), None) => Some(value.as_bytes()),
        _ => None,
    }
}

fn check(response: &Response, accept: &str, protocols: &[u8]) -> Result<(), Outcome> {
    let (status, headers) = (response.status(), response.headers());
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let text = format!("the server answered with status {status}");
        return Err(Outcome::error(EWS_REFUSED, text));
    }
    let wrong = |what: &str| Err(Outcome::error(EWS_PROTOCOL, what));
    if response.version() != Version::HTTP_11 {
        return wrong("the server switches protocols, but its response is not of HTTP/1.1");
    }
    let upgrade = only(headers, &UPGRADE);
    if !upgrade.is_some_and(|name| name.eq_ignore_ascii_case(b"websocket")) {
        return wrong("the Upgrade of the response is not websocket");
    }
    let mut options = headers.get_all(CONNECTION).iter();
    let is_upgrade = |option: &[u8]| option.eq_ignore_ascii_case(b"upgrade");
    if !options.any(|value| list(value.as_bytes()).any(is_upgrade)) {
        return wrong("the Connection of the response has no upgrade");
    }
    if only(headers, &SEC_WEBSOCKET_ACCEPT) != Some(accept.as_bytes()) {
        return wrong("the Sec-WebSocket-Accept of the response does not match the key");
    }
    if headers.contains_key(SEC_WEBSOCKET_EXTENSIONS) {
        return wrong("the response has a WebSocket extension that was not requested");
    }
    if headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        let selected = only(headers, &SEC_WEBSOCKET_PROTOCOL);
        let known = |name: &[u8]| !name.is_empty() && list(protocols).any(|p| p == name);
        if !selected.is_some_and(known) {
            return wrong("the response has a subprotocol that was not requested");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(
            accept("dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
        assert_eq!(new_key().unwrap().len(), 24);
    }

    #[test]
    fn headers_of_the_handshake_are_not_the_callers() {
        for name in ["connection", "sec-websocket-key", "sec-websocket-protocol"] {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_static("close"));
            assert!(
                add_headers(&mut headers, "key".to_owned(), b"").is_err(),
                "{name}"
            );
        }
    }

    #[test]
    fn protocols_are_a_list_of_tokens() {
        let added = |list: &[u8]| add_headers(&mut HeaderMap::new(), "key".to_owned(), list);
        for good in [&b"one"[..], b"one, other", b"v1.json,v2"] {
            assert_eq!(added(good), Ok(()));
        }
        for bad in [&b"a b"[..], b",", b"a,", b"a\r\nb: c", b"\xff"] {
            assert!(added(bad).is_err());
        }
    }
}
