// SPDX-License-Identifier: MIT OR Apache-2.0
//! The error codes of HTTP requests, and which error of reqwest becomes which of them. The text is
//! the whole chain of causes.

use std::error::Error;

use super::streams::TooShort;
use crate::names::Failed;
use crate::outcome::Outcome;
use crate::sys::{errno, Res};

/// The URL cannot be parsed, or its scheme is not http or https.
pub const EHTTP_URL: Res = -4110;
/// The server cannot be connected to.
pub const EHTTP_CONNECT: Res = -4111;
/// The timeout has passed.
pub const EHTTP_TIMEOUT: Res = -4112;
/// The TLS connection failed.
pub const EHTTP_TLS: Res = -4113;
/// The body is larger than the limit.
pub const EHTTP_BODY_LIMIT: Res = -4114;
/// The body of the response is incomplete or malformed.
pub const EHTTP_BODY: Res = -4115;
/// Too many redirects, or one that is not allowed.
pub const EHTTP_REDIRECT: Res = -4116;
/// Another error.
pub const EHTTP_OTHER: Res = -4117;
/// The name of the server cannot be looked up.
pub const EHTTP_DNS: Res = -4130;
/// The connection ended before the head of the response was complete.
pub const EHTTP_CLOSED: Res = -4131;
/// The response is not valid HTTP.
pub const EHTTP_PROTOCOL: Res = -4132;

/// The connect timeout of the client passed.
pub const EHTTP_CONNECT_TIMEOUT: Res = -4133;
/// The read timeout of the client passed.
pub const EHTTP_READ_TIMEOUT: Res = -4134;

/// The server did not switch to the WebSocket protocol.
#[cfg(feature = "ws")]
pub const EWS_REFUSED: Res = -4135;
/// The server violated the WebSocket protocol.
#[cfg(feature = "ws")]
pub const EWS_PROTOCOL: Res = -4136;
/// A message is larger than the limit.
#[cfg(feature = "ws")]
pub const EWS_LIMIT: Res = -4137;
/// The connection ended without a close frame.
#[cfg(feature = "ws")]
pub const EWS_CLOSED: Res = -4138;

/// The outcome of an error of reqwest before the head of the response is complete.
pub fn failure(e: &reqwest::Error) -> Outcome {
    if let Some(short) = cause::<TooShort>(e) {
        return Outcome::error(errno(libc::EINVAL), short.to_string()); // the caller's, not the server's
    }
    match code(e) {
        EHTTP_CONNECT_TIMEOUT => {
            let text = "the connect timeout of the client passed";
            Outcome::error(EHTTP_CONNECT_TIMEOUT, text)
        }
        code => Outcome::error(code, chain(e)),
    }
}

/// The outcome of an error of reqwest in the body of the response.
pub fn body_failure(e: &reqwest::Error) -> Outcome {
    let code = if is_tls(e) { EHTTP_TLS } else { EHTTP_BODY };
    Outcome::error(code, chain(e))
}

fn code(e: &reqwest::Error) -> Res {
    if let Some(failed) = cause::<Failed>(e) {
        failed.code.unwrap_or(EHTTP_DNS)
    } else if is_tls(e) {
        EHTTP_TLS
    } else if e.is_connect() && e.is_timeout() && !is_of_the_kernel(e) {
        EHTTP_CONNECT_TIMEOUT
    } else if e.is_connect() {
        EHTTP_CONNECT
    } else if e.is_builder() {
        EHTTP_URL
    } else if cause(e).is_some_and(hyper::Error::is_parse) {
        EHTTP_PROTOCOL
    } else if let Some(failed) = cause::<h2::Error>(e) {
        let ended = failed.is_io() || failed.is_remote();
        if ended {
            EHTTP_CLOSED
        } else {
            EHTTP_PROTOCOL
        }
    } else if is_closed(e) {
        EHTTP_CLOSED
    } else {
        EHTTP_OTHER
    }
}

/// Whether the time limit was the kernel's, not reqwest's.
fn is_of_the_kernel(e: &reqwest::Error) -> bool {
    let gave_up = |e: &std::io::Error| e.raw_os_error() == Some(libc::ETIMEDOUT);
    causes(e).any(|cause| cause.downcast_ref().is_some_and(gave_up))
}

/// Whether the connection was closed, reset or lost.
fn is_closed(e: &reqwest::Error) -> bool {
    let ended = |e: &hyper::Error| e.is_incomplete_message() || e.is_canceled() || e.is_closed();
    cause(e).is_some_and(ended) || cause::<std::io::Error>(e).is_some()
}

fn causes<'a>(e: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(e), |&e| {
        // source() of an io::Error skips the error that it wraps.
        let wrapped = e
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        match wrapped {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => e.source(),
        }
    })
}

/// The outermost cause of this type.
fn cause<T: Error + 'static>(e: &reqwest::Error) -> Option<&T> {
    causes(e).find_map(|cause| cause.downcast_ref())
}

fn is_tls(e: &reqwest::Error) -> bool {
    cause::<rustls::Error>(e).is_some()
}

/// The text of all causes, outermost first. Without the URL, which may contain secrets.
pub fn chain(e: &reqwest::Error) -> String {
    let mut text = String::new();
    for cause in causes(e).skip(1) {
        let mut part = cause.to_string();
        if let Some(why) = part.strip_prefix("tunnel error: ") {
            part = of_tunnel(why).to_owned();
        }
        if !text.ends_with(&part) {
            text += if text.is_empty() { "" } else { ": " };
            text += &part;
        }
    }
    if text.is_empty() {
        text = "the request failed".to_owned();
    }
    text
}

/// hyper-util's errors of CONNECT, whose texts do not mention the proxy.
fn of_tunnel(why: &str) -> &str {
    match why {
        "proxy authorization required" => "the proxy requires another name and password",
        "unsuccessful" => "the proxy did not connect to the server",
        "unexpected end of file" => "the proxy closed the connection without an answer",
        "failed to create underlying connection" => "the proxy cannot be connected to",
        why => why,
    }
}
