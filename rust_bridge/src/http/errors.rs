// SPDX-License-Identifier: MIT OR Apache-2.0
//! The error codes of HTTP requests, and which error of reqwest becomes which of them. The text is
//! the whole chain of causes.

use std::error::Error;

use super::names::Failed;
use crate::outcome::Outcome;
use crate::sys::Res;

/// The URL cannot be parsed, or its scheme is not http or https.
pub const EHTTP_URL: Res = -4110;
/// The server cannot be reached.
pub const EHTTP_CONNECT: Res = -4111;
/// The timeout has passed.
pub const EHTTP_TIMEOUT: Res = -4112;
/// The TLS handshake failed.
pub const EHTTP_TLS: Res = -4113;
/// The body is larger than the limit.
pub const EHTTP_BODY_LIMIT: Res = -4114;
/// The body of the response is incomplete or malformed.
pub const EHTTP_BODY: Res = -4115;
/// Too many redirects, or one that is not allowed.
pub const EHTTP_REDIRECT: Res = -4116;
/// The exchange failed.
pub const EHTTP_OTHER: Res = -4117;

/// The outcome of an error of reqwest; `otherwise` is the code if no other one applies.
pub fn failure(e: &reqwest::Error, otherwise: Res) -> Outcome {
    let code = if let Some(code) = lookup_failure(e) {
        code
    } else if e.is_timeout() {
        EHTTP_TIMEOUT
    } else if e.is_redirect() {
        EHTTP_REDIRECT
    } else if is_tls(e) {
        EHTTP_TLS
    } else if e.is_connect() {
        EHTTP_CONNECT
    } else if e.is_builder() {
        EHTTP_URL
    } else {
        otherwise
    };
    Outcome::error(code, chain(e))
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

fn is_tls(e: &reqwest::Error) -> bool {
    causes(e).any(|cause| cause.is::<rustls::Error>())
}

/// The code of a look-up that did not run.
fn lookup_failure(e: &reqwest::Error) -> Option<Res> {
    causes(e).find_map(|cause| cause.downcast_ref::<Failed>()?.code)
}

/// The text of all causes, outermost first. Without the URL, which may contain secrets.
pub fn chain(e: &reqwest::Error) -> String {
    let mut text = String::new();
    for cause in causes(e).skip(1) {
        let part = cause.to_string();
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
