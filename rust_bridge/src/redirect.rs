// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of a request that is redirected. Followed here and not by reqwest, which sends the
//! caller's Host to other servers, and the URL before the redirect as Referer.
//!
//! 1. 301, 302, 303, 307 and 308 with a Location are followed, MAX times in a row; others are answers.
//! 2. Location is one URL, absolute or relative, of http or https; from https it leads to https.
//! 3. 303 makes every method but HEAD a GET, 301 and 302 make POST one, as browsers do. A GET made so has
//!    no body and none of the headers about it. 307 and 308 repeat the request as it was.
//! 4. To another origin (scheme, host, port) the caller's Host and credentials do not go along. They do
//!    not come back if a later redirect leads back. Other headers go along.
//! 5. A name and a password in a Location are left out.

use reqwest::header::{
    HeaderMap, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_LOCATION,
    CONTENT_TYPE, COOKIE, HOST, LOCATION, PROXY_AUTHORIZATION,
};
use reqwest::{Method, Request, StatusCode, Url};

pub const MAX: usize = 10;

pub fn is_redirect(status: StatusCode, headers: &HeaderMap) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) && headers.contains_key(LOCATION)
}

/// Where a redirect from here leads, or in words why it is not followed.
fn target(from: &Url, headers: &HeaderMap) -> Result<Url, String> {
    let mut locations = headers.get_all(LOCATION).iter();
    let (Some(location), None) = (locations.next(), locations.next()) else {
        return Err("more than one Location".to_owned());
    };
    let text = std::str::from_utf8(location.as_bytes()).map_err(|e| e.to_string())?;
    if text.contains(|c: char| c.is_ascii_control()) {
        return Err("a control character in the Location".to_owned());
    }
    let mut to = from.join(text).map_err(|e| e.to_string())?;
    match to.scheme() {
        "https" => {}
        "http" if from.scheme() == "http" => {}
        "http" => return Err("a redirect from https to http".to_owned()),
        other => return Err(format!("a redirect to {other}")),
    }
    // These fail for URLs without a host, which http and https do not have.
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

/// Makes of a request that was answered by a redirect the next one.
pub fn follow(
    request: &mut Request,
    status: StatusCode,
    headers: &HeaderMap,
) -> Result<(), String> {
    let to = target(request.url(), headers)?;
    if becomes_get(status, request.method()) {
        *request.method_mut() = Method::GET;
        *request.body_mut() = None;
        for name in [
            CONTENT_ENCODING,
            CONTENT_LANGUAGE,
            CONTENT_LENGTH,
            CONTENT_LOCATION,
            CONTENT_TYPE,
        ] {
            request.headers_mut().remove(name);
        }
    }
    if to.origin() != request.url().origin() {
        for name in [AUTHORIZATION, COOKIE, HOST, PROXY_AUTHORIZATION] {
            request.headers_mut().remove(name);
        }
        request.headers_mut().remove("cookie2");
    }
    *request.url_mut() = to;
    Ok(())
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
    fn never_from_https_to_http() {
        assert!(redirected("https://a/", "http://a/").is_err());
        assert_eq!(redirected("https://a/b", "c").unwrap(), "https://a/c");
        assert_eq!(redirected("https://a/", "//b/").unwrap(), "https://b/");
        assert_eq!(redirected("http://a/", "https://a/").unwrap(), "https://a/");
    }

    #[test]
    fn places_that_are_none() {
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
    fn credentials_in_a_location_are_left_out() {
        let to = redirected("http://a/", "http://me:secret@b/").unwrap();
        assert_eq!(to, "http://b/");
    }

    #[test]
    fn a_request_to_another_origin_has_no_credentials() {
        for (to, goes_along) in [
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
            ];
            for name in names {
                let value = HeaderValue::from_static("secret");
                request.headers_mut().insert(name, value);
            }
            follow(&mut request, StatusCode::FOUND, &location(to)).unwrap();
            for name in names {
                let there = request.headers().contains_key(name);
                assert_eq!(there, goes_along, "{to} {name}");
            }
        }
    }

    #[test]
    fn methods() {
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
            follow(&mut request, status, &location("/b")).unwrap();
            assert_eq!(request.method(), then);
            assert_eq!(
                request.body().is_some(),
                *request.method() == method && then != "GET"
            );
        }
    }
}
