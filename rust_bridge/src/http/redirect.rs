// SPDX-License-Identifier: MIT OR Apache-2.0
//! Redirects. They are followed here and not by reqwest, which would send the caller's Host to
//! other servers, and the URL before the redirect as Referer.
//!
//! 1. 301, 302, 303, 307 and 308 with a Location are followed, at most MAX in a row. Other
//!    responses are results.
//! 2. Location is one URL, absolute or relative, of scheme http or https. From https only to https.
//! 3. 303 changes every method but HEAD to GET, and 301 and 302 change POST to GET, as browsers do.
//!    Such a GET has no body and no headers that describe one. 307 and 308 repeat the request
//!    unchanged.
//! 4. To another origin (scheme, host, port) only those headers of the caller's are sent that describe
//!    the body, the wanted response or the client (ELSEWHERE): any other one may be a secret, as
//!    X-Api-Key is. They are not restored if a later redirect leads back.
//! 5. A user name and password in a Location are dropped.
//! 6. The caller may restrict all this to redirects within an origin, or to none: a redirect that is
//!    not followed is the response.

use reqwest::header::{self, HeaderMap, HeaderName, LOCATION};
use reqwest::{Method, Request, StatusCode, Url};

/// The number of redirects that are followed in a row.
pub const MAX: usize = 10;

/// The headers of the caller's that are sent to another origin.
const ELSEWHERE: [HeaderName; 19] = [
    header::ACCEPT,
    header::ACCEPT_CHARSET,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::CACHE_CONTROL,
    header::CONNECTION,
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_TYPE,
    header::DATE,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_RANGE,
    header::IF_UNMODIFIED_SINCE,
    header::PRAGMA,
    header::RANGE,
    header::USER_AGENT,
];

/// The headers that describe a body.
const OF_THE_BODY: [HeaderName; 5] = [
    header::CONTENT_ENCODING,
    header::CONTENT_LANGUAGE,
    header::CONTENT_LENGTH,
    header::CONTENT_LOCATION,
    header::CONTENT_TYPE,
];

/// Which redirects are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    All,
    SameOrigin,
    None,
}

/// Whether a response with this status and these headers is followed.
pub fn is_redirect(status: StatusCode, headers: &HeaderMap) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) && headers.contains_key(LOCATION)
}

/// The URL to which a redirect leads, or the reason why it is not followed.
fn target(from: &Url, headers: &HeaderMap) -> Result<Url, String> {
    let mut locations = headers.get_all(LOCATION).iter();
    let (Some(location), None) = (locations.next(), locations.next()) else {
        return Err("the response has more than one Location header".to_owned());
    };
    let text = std::str::from_utf8(location.as_bytes()).map_err(|e| e.to_string())?;
    if text.contains(|c: char| c.is_ascii_control()) {
        return Err("the Location contains a control character".to_owned());
    }
    let mut to = from.join(text).map_err(|e| e.to_string())?;
    match to.scheme() {
        "https" => {}
        "http" if from.scheme() == "http" => {}
        "http" => return Err("a redirect from https to http is not followed".to_owned()),
        other => return Err(format!("a redirect to scheme {other} is not followed")),
    }
    // These fail for URLs without a host only, and http and https URLs have one.
    let _ = to.set_username("");
    let _ = to.set_password(None);
    Ok(to)
}

fn becomes_get(status: StatusCode, method: &Method) -> bool {
    match status {
        StatusCode::SEE_OTHER => *method != Method::HEAD,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => *method == Method::POST,
        _ => false,
    }
}

/// Changes a redirected request into the next one. False: the response is the result.
///
/// # Errors
/// The reason why the redirect is not followed.
pub fn follow(
    request: &mut Request,
    status: StatusCode,
    headers: &HeaderMap,
    which: Redirects,
) -> Result<bool, String> {
    if which == Redirects::None {
        return Ok(false);
    }
    let to = target(request.url(), headers)?;
    let elsewhere = to.origin() != request.url().origin();
    if elsewhere && which == Redirects::SameOrigin {
        return Ok(false);
    }
    if becomes_get(status, request.method()) {
        *request.method_mut() = Method::GET;
        *request.body_mut() = None;
        for name in OF_THE_BODY {
            request.headers_mut().remove(name);
        }
    }
    if elsewhere {
        let all = std::mem::take(request.headers_mut());
        for (name, value) in all.iter().filter(|(name, _)| ELSEWHERE.contains(name)) {
            request.headers_mut().append(name, value.clone());
        }
    }
    *request.url_mut() = to;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use reqwest::header::HeaderValue;

    fn location(to: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_str(to).unwrap());
        headers
    }

    fn redirected(from: &str, to: &str) -> Result<String, String> {
        let from = Url::parse(from).unwrap();
        let to = target(&from, &location(to));
        to.map(String::from)
    }

    #[test]
    fn https_does_not_redirect_to_http() {
        assert!(redirected("https://a/", "http://a/").is_err());
        assert_eq!(redirected("https://a/b", "c").unwrap(), "https://a/c");
        assert_eq!(redirected("https://a/", "//b/").unwrap(), "https://b/");
        assert_eq!(redirected("http://a/", "https://a/").unwrap(), "https://a/");
    }

    #[test]
    fn invalid_locations_are_refused() {
        for to in [
            "ftp://a/",
            "file:///a",
            "data:,a",
            "http://[",
            "http://a:70000/",
            "/a\tb",
        ] {
            assert!(redirected("http://a/", to).is_err(), "{to}");
        }
        let mut two = location("/a");
        two.append(LOCATION, HeaderValue::from_static("/b"));
        assert!(target(&Url::parse("http://a/").unwrap(), &two).is_err());
    }

    #[test]
    fn credentials_in_a_location_are_dropped() {
        let to = redirected("http://a/", "http://me:secret@b/").unwrap();
        assert_eq!(to, "http://b/");
    }

    #[test]
    fn secrets_are_not_sent_to_another_origin() {
        for (to, kept) in [
            ("http://a/there", true),
            ("http://a:80/there", true),
            ("http://A/there", true),
            ("http://a:81/", false),
            ("https://a/", false),
            ("http://b.a/", false),
        ] {
            let mut request = Request::new(Method::GET, Url::parse("http://a/").unwrap());
            let names = [
                "authorization",
                "cookie",
                "cookie2",
                "host",
                "proxy-authorization",
                "x-api-key",
            ];
            for name in names {
                let value = HeaderValue::from_static("secret");
                request.headers_mut().insert(name, value);
            }
            let agent = HeaderValue::from_static("nart");
            request.headers_mut().insert("user-agent", agent);
            follow(
                &mut request,
                StatusCode::FOUND,
                &location(to),
                Redirects::All,
            )
            .unwrap();
            assert!(request.headers().contains_key("user-agent"));
            for name in names {
                let sent = request.headers().contains_key(name);
                assert_eq!(sent, kept, "{to} {name}");
            }
        }
    }

    #[test]
    fn each_status_changes_the_method_as_in_rule_3() {
        for (status, method, then) in [
            (301, "POST", "GET"),
            (302, "POST", "GET"),
            (303, "POST", "GET"),
            (303, "PUT", "GET"),
            (303, "HEAD", "HEAD"),
            (301, "PUT", "PUT"),
            (302, "DELETE", "DELETE"),
            (307, "POST", "POST"),
            (308, "POST", "POST"),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let mut request = Request::new(method.clone(), Url::parse("http://a/").unwrap());
            *request.body_mut() = Some("body".into());
            let status = StatusCode::from_u16(status).unwrap();
            follow(&mut request, status, &location("/b"), Redirects::SameOrigin).unwrap();
            assert_eq!(request.method(), then);
            assert_eq!(
                request.body().is_some(),
                *request.method() == method && then != "GET"
            );
        }
    }
}
