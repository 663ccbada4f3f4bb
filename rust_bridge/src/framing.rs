// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which headers and methods of a caller are taken. Where a message ends is said by whoever writes it: a
//! header of the caller's that says otherwise makes the peer read one request as two, or two as one
//! (request smuggling), on a connection that others use next. RFC 9112, 6 and 11.2; RFC 9110, 7.6.
//!
//! 1. Content-Length is accepted when it is the body's length. It is written for a body anyway; a request
//!    without a body has it only if the caller says so.
//! 2. Connection says "close" or "keep-alive", no more: other words name headers of this hop.
//! 3. What frames a message or changes the protocol of a connection is refused; Expect, too, for the body
//!    follows at once, and a peer that answers before it may take it for a request.
//! 4. Host is given once, and is a host.
//! 5. CONNECT is refused: what follows its answer is no HTTP. So is TRACE with a body, which it cannot have.

use reqwest::header::{
    HeaderMap, HeaderName, HeaderValue, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use reqwest::{Method, Url};

/// The client adds some of its own.
const HEADERS_MAX: usize = 1000;

/// What the client alone may say: see 3.
fn is_the_clients(name: &HeaderName) -> bool {
    [EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(name)
        || matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "http2-settings"
        )
}

fn is_length(value: &HeaderValue, length: usize) -> bool {
    value.as_bytes() == length.to_string().as_bytes()
}

fn is_host(value: &HeaderValue) -> bool {
    let Ok(host) = value.to_str() else {
        return false;
    };
    let plain = !host.contains(['/', '?', '#', '@', '\\', ' ', '\t']);
    plain && Url::parse(&format!("http://{host}/")).is_ok()
}

/// Adds one of the caller's headers to a request whose body has so many bytes, or says in words why not.
pub fn add(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: HeaderValue,
    body: usize,
) -> Result<(), String> {
    if headers.len() >= HEADERS_MAX {
        return Err(format!("more than {HEADERS_MAX} headers"));
    }
    if name == CONTENT_LENGTH {
        if !is_length(&value, body) {
            return Err(format!(
                "Content-Length is not the body's length, {body}: leave it out"
            ));
        }
        if body == 0 {
            headers.insert(name, value); // nobody else writes it
        }
        return Ok(());
    }
    if is_the_clients(&name) {
        return Err(format!("{name} is not for the caller to set: leave it out"));
    }
    let word = value.as_bytes();
    let plain = word.eq_ignore_ascii_case(b"close") || word.eq_ignore_ascii_case(b"keep-alive");
    if name == CONNECTION && !plain {
        return Err("Connection can be close or keep-alive".to_owned());
    }
    if name == HOST && headers.contains_key(HOST) {
        return Err("Host is there twice".to_owned());
    }
    if name == HOST && !is_host(&value) {
        return Err("Host is not a host".to_owned());
    }
    headers.append(name, value);
    Ok(())
}

/// Whether requests of this method, with a body of so many bytes, are such.
pub fn method(method: &Method, body: usize) -> Result<(), String> {
    if *method == Method::CONNECT {
        return Err("CONNECT makes a tunnel, which is no request".to_owned());
    }
    if *method == Method::TRACE && body > 0 {
        return Err("TRACE has no body".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What becomes of headers with a body of 6 bytes: how many are sent, or why not.
    fn taken(headers: &[(&str, &str)]) -> Result<usize, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            add(&mut map, name, HeaderValue::from_str(value).unwrap(), 6)?;
        }
        Ok(map.len())
    }

    #[test]
    fn headers_that_frame_a_message_are_refused() {
        for header in [
            ("content-length", "5"),
            ("Content-Length", "7"),
            ("content-length", "+6"),
            ("content-length", "06"),
            ("content-length", "6, 6"),
            ("content-length", ""),
            ("content-length", "0x6"),
            ("transfer-encoding", "chunked"),
            ("Transfer-Encoding", "identity"),
            ("te", "trailers"),
            ("trailer", "x"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABkAAQAAP__"),
            ("connection", "upgrade"),
            ("connection", "close, x-secret"),
            ("keep-alive", "timeout=5"),
            ("expect", "100-continue"),
            ("connection", ""),
            ("proxy-connection", "close"),
        ] {
            assert!(taken(&[header]).is_err(), "{header:?}");
        }
    }

    #[test]
    fn the_right_length_is_written_once() {
        assert_eq!(taken(&[("content-length", "6")]), Ok(0));
        assert_eq!(
            taken(&[("content-length", "6"), ("Content-Length", "6")]),
            Ok(0)
        );
        assert!(taken(&[("content-length", "6"), ("content-length", "5")]).is_err());
    }

    #[test]
    fn a_length_of_nothing_is_the_callers() {
        let mut map = HeaderMap::new();
        for _ in 0..2 {
            add(&mut map, CONTENT_LENGTH, HeaderValue::from_static("0"), 0).unwrap();
        }
        assert_eq!(map.get_all(CONTENT_LENGTH).iter().count(), 1);
    }

    #[test]
    fn so_many_headers() {
        let names: Vec<String> = (0..=HEADERS_MAX).map(|i| format!("x-{i}")).collect();
        let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert_eq!(taken(&headers[..HEADERS_MAX]), Ok(HEADERS_MAX));
        assert!(taken(&headers).is_err());
    }

    #[test]
    fn one_host() {
        assert_eq!(taken(&[("host", "example.org:8080")]), Ok(1));
        assert_eq!(taken(&[("Host", "[::1]:80")]), Ok(1));
        assert!(taken(&[("host", "a"), ("HOST", "a")]).is_err());
        for host in ["", "a/b", "user@a", "a b", "a?b", "a#b", "a:b:c", "a\\b"] {
            assert!(taken(&[("host", host)]).is_err(), "{host}");
        }
    }

    #[test]
    fn others_are_taken() {
        assert_eq!(taken(&[("connection", "close")]), Ok(1));
        assert_eq!(taken(&[("connection", "Keep-Alive")]), Ok(1));
        assert_eq!(taken(&[("x-a", "1"), ("x-a", "")]), Ok(2));
    }

    #[test]
    fn methods() {
        assert!(method(&Method::CONNECT, 0).is_err());
        assert!(method(&Method::TRACE, 1).is_err());
        assert_eq!(method(&Method::TRACE, 0), Ok(()));
        assert_eq!(method(&Method::DELETE, 1), Ok(()));
    }
}
