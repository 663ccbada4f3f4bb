// SPDX-License-Identifier: MIT OR Apache-2.0
//! A request on its way from the submitter to the worker: packed into bytes there, and built from
//! them here. So C's memory is not used after the submission.

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, Url};

use super::errors::{failure, EHTTP_URL};
use super::framing;
use super::redirect::Redirects;
use super::streams::RequestBody;
use crate::outcome::Outcome;
use crate::sys::errno;

/// A request of C, borrowed during the submission.
pub struct Request<'a> {
    pub url: &'a [u8],
    pub method: &'a [u8],
    pub body: &'a [u8],
    /// A time of C's clock; NEVER: none.
    pub deadline: i64,
    pub max_body: usize,
    pub redirects: Redirects,
}

/// Packs a request and its headers. Each part is a length and that many bytes.
pub fn pack<'a>(
    to: &mut Vec<u8>,
    request: &Request<'_>,
    headers: impl Iterator<Item = (&'a [u8], &'a [u8])>,
) {
    let mut part = |bytes: &[u8]| {
        to.extend_from_slice(&bytes.len().to_ne_bytes());
        to.extend_from_slice(bytes);
    };
    part(&request.deadline.to_ne_bytes());
    part(&request.max_body.to_ne_bytes());
    part(&(request.redirects as u64).to_ne_bytes());
    part(request.url);
    part(request.method);
    part(request.body);
    for (name, value) in headers {
        part(name);
        part(value);
    }
}

/// Reads the parts of a packed request.
pub struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (len, rest) = self.0.split_first_chunk()?;
        let (part, rest) = rest.split_at_checked(usize::from_ne_bytes(*len))?;
        self.0 = rest;
        Some(part)
    }
}

fn number(part: &[u8]) -> u64 {
    part.try_into().map_or(0, u64::from_ne_bytes)
}

/// The deadline of a packed request, and its other parts.
pub fn deadline(packed: &[u8]) -> (i64, Parts<'_>) {
    let mut parts = Parts(packed);
    (number(parts.next().unwrap_or_default()) as i64, parts)
}

/// The schemes of a URL: http and https, or ws and wss.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Schemes {
    Http,
    #[cfg(feature = "ws")]
    Ws,
}

/// A request as the worker sees it.
#[derive(Debug)]
pub struct Unpacked {
    pub request: reqwest::Request,
    pub max_body: usize,
    pub redirects: Redirects,
}

/// Builds it from the other parts. `streamed`: the body, if it is not one of them.
pub fn unpack(
    client: &reqwest::Client,
    schemes: Schemes,
    mut parts: Parts<'_>,
    streamed: Option<RequestBody>,
) -> Result<Unpacked, Outcome> {
    let invalid = |what: &str| Outcome::error(errno(libc::EINVAL), what);
    let refused = |why: String| Outcome::error(errno(libc::EINVAL), why);
    let mut part = || parts.next().unwrap_or_default();
    let max_body = number(part()) as usize;
    let redirects = match number(part()) {
        n if n == Redirects::None as u64 => Redirects::None,
        n if n == Redirects::SameOrigin as u64 => Redirects::SameOrigin,
        _ => Redirects::All,
    };
    let url = parse_url(part(), schemes)?;
    let method =
        Method::from_bytes(part()).map_err(|_| invalid("the method is not a valid HTTP method"))?;
    let body = part();
    let length = match &streamed {
        None => Some(body.len() as u64),
        Some(streamed) => streamed.len(),
    };
    framing::method(&method, length).map_err(refused)?;
    let mut headers = HeaderMap::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let name = HeaderName::from_bytes(name)
            .map_err(|_| invalid("the name of a header is not valid"))?;
        let value = HeaderValue::from_bytes(value)
            .map_err(|_| invalid("the value of a header is not valid"))?;
        framing::add(&mut headers, name, value, length).map_err(refused)?;
    }
    let mut request = client.request(method, url).headers(headers);
    if let Some(streamed) = streamed {
        request = request.body(reqwest::Body::wrap(streamed));
    } else if !body.is_empty() {
        request = request.body(body.to_vec());
    }
    let request = request.build().map_err(|e| failure(&e))?;
    Ok(Unpacked {
        request,
        max_body,
        redirects,
    })
}

/// The URL has the scheme http or https then.
fn parse_url(url: &[u8], schemes: Schemes) -> Result<Url, Outcome> {
    // The parser silently removes tabs and line breaks.
    if url.iter().any(u8::is_ascii_control) {
        return Err(Outcome::error(
            EHTTP_URL,
            "the URL contains a control character",
        ));
    }
    let text = std::str::from_utf8(url).map_err(|e| Outcome::error(EHTTP_URL, e.to_string()))?;
    let url = Url::parse(text).map_err(|e| Outcome::error(EHTTP_URL, e.to_string()))?;
    match (schemes, url.scheme()) {
        (Schemes::Http, "http" | "https") => Ok(url),
        #[cfg(feature = "ws")]
        (Schemes::Ws, "ws") => with_scheme(url, "http"),
        #[cfg(feature = "ws")]
        (Schemes::Ws, "wss") => with_scheme(url, "https"),
        (schemes, other) => Err(Outcome::error(
            EHTTP_URL,
            format!("the scheme {other} is not {}", schemes.names()),
        )),
    }
}

impl Schemes {
    fn names(self) -> &'static str {
        match self {
            Schemes::Http => "http or https",
            #[cfg(feature = "ws")]
            Schemes::Ws => "ws or wss",
        }
    }
}

#[cfg(feature = "ws")]
fn with_scheme(mut url: Url, scheme: &str) -> Result<Url, Outcome> {
    match url.set_scheme(scheme) {
        Ok(()) => Ok(url),
        Err(()) => Err(Outcome::error(EHTTP_URL, "the URL is not valid")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn a_client() -> reqwest::Client {
        let hygiene = crate::threads::Hygiene::new(&[]).unwrap();
        let names = crate::names::Names::new(crate::crew::Crew::new(hygiene, "names", 0));
        let client = crate::http::Client::new(crate::http::config::Config::default(), names);
        client.http().unwrap().clone()
    }

    fn packed(url: &[u8], headers: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let request = Request {
            url,
            method: b"PUT",
            body: b"a body",
            deadline: 5,
            max_body: 77,
            redirects: Redirects::SameOrigin,
        };
        pack(
            &mut bytes,
            &request,
            headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())),
        );
        bytes
    }

    #[test]
    fn a_packed_request_is_unpacked_unchanged() {
        let client = a_client();
        let bytes = packed(b"http://a/b?c", &[("X-One", "1"), ("x-two", "")]);
        let (at, parts) = deadline(&bytes);
        let Unpacked {
            request,
            max_body,
            redirects,
        } = unpack(&client, Schemes::Http, parts, None).unwrap();
        assert_eq!((at, max_body, redirects), (5, 77, Redirects::SameOrigin));
        assert_eq!(request.url().as_str(), "http://a/b?c");
        assert_eq!(request.method(), Method::PUT);
        assert_eq!(request.body().unwrap().as_bytes(), Some(&b"a body"[..]));
        assert_eq!(
            (
                &request.headers()["x-one"],
                request.headers()["x-two"].len()
            ),
            (&HeaderValue::from_static("1"), 0)
        );
    }

    #[test]
    fn invalid_urls_are_refused() {
        for url in [
            "",
            "nonsense",
            "http://",
            "ftp://a/",
            "file:///etc/passwd",
            "http://[::1",
        ] {
            let refused = parse_url(url.as_bytes(), Schemes::Http).unwrap_err();
            assert_eq!(refused.number, EHTTP_URL, "{url}");
        }
        for url in [
            &b"http://\xff/"[..],
            b"http://a/\n",
            b"http://a/\tb",
            b"\rhttp://a/",
        ] {
            assert_eq!(parse_url(url, Schemes::Http).unwrap_err().number, EHTTP_URL);
        }
    }

    #[test]
    fn invalid_headers_are_refused() {
        let client = a_client();
        for header in [("a b", "c"), ("", "c"), ("a", "c\r\nd: e")] {
            let bytes = packed(b"http://a/", &[header]);
            let refused = unpack(&client, Schemes::Http, deadline(&bytes).1, None).unwrap_err();
            assert_eq!(refused.number, errno(libc::EINVAL));
        }
    }
}
