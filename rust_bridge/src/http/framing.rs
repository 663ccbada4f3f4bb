// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which headers and methods a caller may set. The client decides where a message ends. If a header
//! of the caller contradicts it, the peer reads one request as two, or two as one (request
//! smuggling), on a connection that other requests reuse. RFC 9112, 6 and 11.2; RFC 9110, 7.6.
//!
//! 1. Content-Length is accepted if it is the length of the body. The client sends it with every
//!    body; a request without a body has it only if the caller sets it.
//! 2. Connection may be "close" or "keep-alive". Other values name hop-by-hop headers, and are
//!    refused.
//! 3. Headers that frame a message or switch the protocol are refused. So is Expect: the body is
//!    sent at once, and a peer that responds before could read it as a request.
//! 4. Host occurs at most once, and is a valid host.
//! 5. CONNECT is refused: after its response the connection is no longer HTTP. TRACE must have no
//!    body. GET and HEAD must have one of known length: hyper would send none.

use reqwest::header::{
    HeaderMap, HeaderName, HeaderValue, CONNECTION, CONTENT_LENGTH, EXPECT, HOST, TE, TRAILER,
    TRANSFER_ENCODING, UPGRADE,
};
use reqwest::{Method, Url};

/// Of the caller; the client adds some of its own.
const HEADERS_MAX: usize = 1000;

/// Whether only the client may set this header: see rule 3.
fn is_the_clients(name: &HeaderName) -> bool {
    [EXPECT, TE, TRAILER, TRANSFER_ENCODING, UPGRADE].contains(name)
        || matches!(
            name.as_str(),
            "keep-alive" | "proxy-connection" | "http2-settings"
        )
}

fn is_length(value: &HeaderValue, length: u64) -> bool {
    value.as_bytes() == length.to_string().as_bytes()
}

fn is_host(value: &HeaderValue) -> bool {
    let Ok(host) = value.to_str() else {
        return false;
    };
    let plain = !host.contains(['/', '?', '#', '@', '\\', ' ', '\t']);
    plain && Url::parse(&format!("http://{host}/")).is_ok()
}

/// Adds a header of the caller to a request with a body of `body` bytes; None: not known.
///
/// # Errors
/// The reason why it is refused, and what to change.
pub fn add(
    headers: &mut HeaderMap,
    name: HeaderName,
    value: HeaderValue,
    body: Option<u64>,
) -> Result<(), String> {
    if headers.len() >= HEADERS_MAX {
        return Err(format!("more than {HEADERS_MAX} headers: send fewer"));
    }
    if name == CONTENT_LENGTH {
        let Some(body) = body else {
            return Err("Content-Length is set by the client: set body_len instead".to_owned());
        };
        if !is_length(&value, body) {
            return Err(format!(
                "Content-Length is not the body's length, {body}: omit it"
            ));
        }
        if body == 0 {
            headers.insert(name, value); // the client sends none without a body
        }
        return Ok(());
    }
    if is_the_clients(&name) {
        return Err(format!("{name} must not be set by the caller: omit it"));
    }
    let option = value.as_bytes();
    let allowed = [&b"close"[..], b"keep-alive"]
        .iter()
        .any(|o| option.eq_ignore_ascii_case(o));
    if name == CONNECTION && !allowed {
        return Err("Connection must be close or keep-alive".to_owned());
    }
    if name == HOST && headers.contains_key(HOST) {
        return Err("Host occurs twice: send one".to_owned());
    }
    if name == HOST && !is_host(&value) {
        return Err("Host is not a valid host: send host or host:port, or omit it".to_owned());
    }
    headers.append(name, value);
    Ok(())
}

/// Checks the method of a request with a body of `body` bytes; None: not known.
///
/// # Errors
/// The reason why it is refused, and what to change.
pub fn method(method: &Method, body: Option<u64>) -> Result<(), String> {
    if *method == Method::CONNECT {
        return Err("the method CONNECT opens a tunnel: use another one".to_owned());
    }
    if *method == Method::TRACE && body != Some(0) {
        return Err("a TRACE request has no body: omit it, or use another method".to_owned());
    }
    if matches!(*method, Method::GET | Method::HEAD) && body.is_none() {
        return Err(format!(
            "{method} has a request_body: set body_len, or use another method"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Adds headers to a request with a body of 6 bytes. Returns their number, or why one is
    /// refused.
    fn accepted(headers: &[(&str, &str)]) -> Result<usize, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            add(
                &mut map,
                name,
                HeaderValue::from_str(value).unwrap(),
                Some(6),
            )?;
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
            assert!(accepted(&[header]).is_err(), "{header:?}");
        }
    }

    #[test]
    fn a_correct_length_is_sent_once() {
        assert_eq!(accepted(&[("content-length", "6")]), Ok(0));
        assert_eq!(
            accepted(&[("content-length", "6"), ("Content-Length", "6")]),
            Ok(0)
        );
        assert!(accepted(&[("content-length", "6"), ("content-length", "5")]).is_err());
    }

    #[test]
    fn the_length_0_is_sent_if_the_caller_sets_it() {
        let mut map = HeaderMap::new();
        for _ in 0..2 {
            add(
                &mut map,
                CONTENT_LENGTH,
                HeaderValue::from_static("0"),
                Some(0),
            )
            .unwrap();
        }
        assert_eq!(map.get_all(CONTENT_LENGTH).iter().count(), 1);
    }

    #[test]
    fn the_number_of_headers_is_limited() {
        let names: Vec<String> = (0..=HEADERS_MAX).map(|i| format!("x-{i}")).collect();
        let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
        assert_eq!(accepted(&headers[..HEADERS_MAX]), Ok(HEADERS_MAX));
        assert!(accepted(&headers).is_err());
    }

    #[test]
    fn host_is_valid_and_occurs_once() {
        assert_eq!(accepted(&[("host", "example.org:8080")]), Ok(1));
        assert_eq!(accepted(&[("Host", "[::1]:80")]), Ok(1));
        assert!(accepted(&[("host", "a"), ("HOST", "a")]).is_err());
        for host in ["", "a/b", "user@a", "a b", "a?b", "a#b", "a:b:c", "a\\b"] {
            assert!(accepted(&[("host", host)]).is_err(), "{host}");
        }
    }

    #[test]
    fn other_headers_are_accepted() {
        assert_eq!(accepted(&[("connection", "close")]), Ok(1));
        assert_eq!(accepted(&[("connection", "Keep-Alive")]), Ok(1));
        assert_eq!(accepted(&[("x-a", "1"), ("x-a", "")]), Ok(2));
    }

    #[test]
    fn connect_and_trace_with_a_body_are_refused() {
        assert!(method(&Method::CONNECT, Some(0)).is_err());
        assert!(method(&Method::TRACE, Some(1)).is_err());
        assert!(method(&Method::TRACE, None).is_err());
        assert_eq!(method(&Method::TRACE, Some(0)), Ok(()));
        assert_eq!(method(&Method::DELETE, Some(1)), Ok(()));
    }

    #[test]
    fn a_body_of_unknown_length_needs_a_method_that_has_one() {
        for name in [Method::GET, Method::HEAD] {
            assert!(method(&name, None).is_err());
            assert_eq!(method(&name, Some(1)), Ok(()));
        }
        assert_eq!(method(&Method::PUT, None), Ok(()));
        let mut map = HeaderMap::new();
        assert!(add(
            &mut map,
            CONTENT_LENGTH,
            HeaderValue::from_static("0"),
            None
        )
        .is_err());
    }
}
