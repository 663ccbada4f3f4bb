// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP requests of C tasks, with reqwest, rustls and ring.
//!
//! 1. The submitter packs the request into bytes ([`pack`]), and the worker builds reqwest's
//!    request from them. So C's memory is not used after the submission.
//! 2. Each bridge has a client for http and one for https, which the first such requests make. Their
//!    connections are tasks of the bridge's runtime and end with it; at most IDLE_MAX per host are kept
//!    for the next request, for IDLE_TIME. The client for https uses ring, never the process's default
//!    crypto provider; its roots are the platform's (or those of SSL_CERT_FILE and SSL_CERT_DIR). So
//!    http needs no certificates. No proxies.
//! 3. The timeout starts at the submission: a request that waited too long for a worker is not
//!    sent.
//! 4. The body is read in chunks, up to the limit. Errors become one of NART_EHTTP_*, with the
//!    whole chain of causes as text.
//! 5. A response in a transfer coding or protocol that was not requested is an error
//!    ([`unrequested`]): hyper would return the undecoded bytes.
//!
//! Elsewhere: the headers that callers may set (framing.rs), redirects (redirect.rs), name look-ups
//! (names.rs).

use std::error::Error;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use reqwest::redirect::Policy;
use reqwest::{Method, Response, StatusCode, Url};
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::sync::OnceCell;

use crate::bridge::Shared;
use crate::clock;
use crate::framing;
use crate::http_queue::Waiting;
use crate::names::{Failed, Names, Resolver};
use crate::outcome::Outcome;
use crate::panic::catch;
use crate::redirect::{self, Redirects};
use crate::sys::{errno, Res, NEVER};

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

// ---- packed requests ----

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
struct Parts<'a>(&'a [u8]);

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
fn deadline(packed: &[u8]) -> (i64, Parts<'_>) {
    let mut parts = Parts(packed);
    (number(parts.next().unwrap_or_default()) as i64, parts)
}

/// A request as the worker sees it.
#[derive(Debug)]
struct Unpacked {
    request: reqwest::Request,
    max_body: usize,
    redirects: Redirects,
}

/// Builds it from the other parts.
fn unpack(client: &reqwest::Client, mut parts: Parts<'_>) -> Result<Unpacked, Outcome> {
    let invalid = |what: &str| Outcome::error(errno(libc::EINVAL), what);
    let refused = |why: String| Outcome::error(errno(libc::EINVAL), why);
    let mut part = || parts.next().unwrap_or_default();
    let max_body = number(part()) as usize;
    let redirects = match number(part()) {
        n if n == Redirects::None as u64 => Redirects::None,
        n if n == Redirects::SameOrigin as u64 => Redirects::SameOrigin,
        _ => Redirects::All,
    };
    let url = parse_url(part())?;
    let method =
        Method::from_bytes(part()).map_err(|_| invalid("the method is not a valid HTTP method"))?;
    let body = part();
    framing::method(&method, body.len()).map_err(refused)?;
    let mut headers = HeaderMap::new();
    while let (Some(name), Some(value)) = (parts.next(), parts.next()) {
        let name = HeaderName::from_bytes(name)
            .map_err(|_| invalid("the name of a header is not valid"))?;
        let value = HeaderValue::from_bytes(value)
            .map_err(|_| invalid("the value of a header is not valid"))?;
        framing::add(&mut headers, name, value, body.len()).map_err(refused)?;
    }
    let mut request = client.request(method, url).headers(headers);
    if !body.is_empty() {
        request = request.body(body.to_vec());
    }
    let request = request.build().map_err(|e| failure(&e, EHTTP_OTHER))?;
    Ok(Unpacked {
        request,
        max_body,
        redirects,
    })
}

fn parse_url(url: &[u8]) -> Result<Url, Outcome> {
    // The parser silently removes tabs and line breaks.
    if url.iter().any(u8::is_ascii_control) {
        return Err(Outcome::error(
            EHTTP_URL,
            "the URL contains a control character",
        ));
    }
    let text = std::str::from_utf8(url).map_err(|e| Outcome::error(EHTTP_URL, e.to_string()))?;
    let url = Url::parse(text).map_err(|e| Outcome::error(EHTTP_URL, e.to_string()))?;
    if matches!(url.scheme(), "http" | "https") {
        Ok(url)
    } else {
        Err(Outcome::error(
            EHTTP_URL,
            format!("the scheme {} is not http or https", url.scheme()),
        ))
    }
}

// ---- the client ----

/// Connections per host that are kept for the next request, and for how long.
const IDLE_MAX: usize = 16;
const IDLE_TIME: Duration = Duration::from_secs(30);

/// The HTTP clients of a bridge.
#[derive(Default)]
pub struct Client {
    http: OnceLock<reqwest::Client>,
    https: OnceCell<reqwest::Client>,
}

impl Client {
    fn http(&self, names: &Arc<Names>) -> Result<&reqwest::Client, Outcome> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let made = http(names.clone()).map_err(|text| Outcome::error(EHTTP_OTHER, text))?;
        Ok(self.http.get_or_init(|| made))
    }

    /// The client for a URL.
    async fn get(&self, url: &Url, names: &Arc<Names>) -> Result<&reqwest::Client, Outcome> {
        match url.scheme() {
            "https" => self.https.get_or_try_init(|| https(names.clone())).await,
            _ => self.http(names),
        }
    }
}

fn http(names: Arc<Names>) -> Result<reqwest::Client, String> {
    let no_roots = rustls::RootCertStore::empty(); // reqwest requires a configuration
    client(tls()?.with_root_certificates(no_roots), names)
}

/// On a blocking thread: this reads certificates from files.
async fn https(names: Arc<Names>) -> Result<reqwest::Client, Outcome> {
    let make = || {
        let verifier = tls()?.with_platform_verifier();
        client(verifier.map_err(|e| e.to_string())?, names)
    };
    // tokio panics if it cannot start a thread.
    let making = catch(|| tokio::task::spawn_blocking(make)).map_err(|_| {
        let text = "no thread could be started to read the certificates";
        Outcome::error(errno(libc::EAGAIN), text)
    })?;
    match making.await {
        Ok(Ok(client)) => Ok(client),
        Ok(Err(text)) => Err(Outcome::error(EHTTP_TLS, text)),
        Err(e) => Err(Outcome::error(EHTTP_TLS, e.to_string())),
    }
}

type Tls<State> = rustls::ConfigBuilder<rustls::ClientConfig, State>;

fn tls() -> Result<Tls<rustls::WantsVerifier>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())
}

fn client(
    tls: Tls<rustls::client::WantsClientCert>,
    names: Arc<Names>,
) -> Result<reqwest::Client, String> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.with_no_client_auth())
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(IDLE_MAX)
        .pool_idle_timeout(IDLE_TIME)
        .dns_resolver(Arc::new(Resolver(names)))
        .build()
        .map_err(|e| chain(&e))
}

// ---- the exchange ----

/// Sends a packed request. The outcome's value is the status, its bytes are the body.
pub async fn exchange(shared: Arc<Shared>, packed: Vec<u8>, waiting: Waiting) -> Outcome {
    let (deadline, parts) = deadline(&packed);
    let answer = async {
        let _permit = waiting.permit().await;
        answer(&shared, parts).await
    };
    let late = |text: &str| Err(Outcome::error(EHTTP_TIMEOUT, text));
    let answered = match deadline {
        NEVER => answer.await,
        at if at <= clock::now() => late("the timeout passed before the request was sent"),
        at => tokio::time::timeout_at(clock::instant(at), answer)
            .await
            .unwrap_or_else(|_| late("the timeout passed before the response was complete")),
    };
    match answered {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

/// Sends a request, and follows redirects.
async fn send(
    shared: &Shared,
    mut request: reqwest::Request,
    redirects: Redirects,
) -> Result<Response, Outcome> {
    let refused = |text: String| Outcome::error(EHTTP_REDIRECT, text);
    for _ in 0..=redirect::MAX {
        let next = request.try_clone(); // its body is shared, not copied
        let client = &shared.http.client;
        let client = client.get(request.url(), &shared.names).await?;
        let sent = client.execute(request).await;
        let response = sent.map_err(|e| failure(&e, EHTTP_OTHER))?;
        let (status, headers) = (response.status(), response.headers());
        request = match next {
            Some(next) if redirect::is_redirect(status, headers) => next,
            _ => return Ok(response),
        };
        if !redirect::follow(&mut request, status, headers, redirects).map_err(refused)? {
            return Ok(response);
        }
    }
    Err(refused(format!("more than {} redirects", redirect::MAX)))
}

async fn answer(shared: &Shared, parts: Parts<'_>) -> Result<Outcome, Outcome> {
    let client = shared.http.client.http(&shared.names)?; // builds requests of both schemes
    let Unpacked {
        request,
        max_body,
        redirects,
    } = unpack(client, parts)?;
    let mut response = send(shared, request, redirects).await?;
    if let Some(what) = unrequested(&response) {
        return Err(Outcome::error(EHTTP_OTHER, what));
    }
    let too_large = || {
        Outcome::error(
            EHTTP_BODY_LIMIT,
            format!("the body has more than {max_body} bytes: raise max_body"),
        )
    };
    let announced = response.content_length().unwrap_or(0);
    if announced > max_body as u64 {
        return Err(too_large());
    }
    // Allocate no more than 64 KiB because of an announced length; one byte more for the NUL.
    let mut body = Vec::with_capacity(announced.min(64 << 10) as usize + 1);
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|e| failure(&e, EHTTP_BODY))?
    {
        if piece.len() > max_body - body.len() {
            return Err(too_large());
        }
        body.extend_from_slice(&piece);
    }
    Ok(Outcome::value_with(
        i64::from(response.status().as_u16()),
        body,
    ))
}

/// A protocol or transfer coding that the request did not offer.
fn unrequested(response: &Response) -> Option<&'static str> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Some("the server switches to a protocol that was not requested");
    }
    let mut codings = response.headers().get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => None,
        (Some(one), None) if one.as_bytes().eq_ignore_ascii_case(b"chunked") => None,
        _ => Some("the response has a transfer coding that was not requested"),
    }
}

// ---- errors ----

/// The outcome of an error of reqwest; `otherwise` is the code if no other one applies.
fn failure(e: &reqwest::Error, otherwise: Res) -> Outcome {
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
fn chain(e: &reqwest::Error) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn a_client() -> reqwest::Client {
        let hygiene = crate::threads::Hygiene::new(&[]).unwrap();
        http(Names::new(crate::crew::Crew::new(hygiene, "names", 0))).unwrap()
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
        } = unpack(&client, parts).unwrap();
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
            let refused = parse_url(url.as_bytes()).unwrap_err();
            assert_eq!(refused.number, EHTTP_URL, "{url}");
        }
        for url in [
            &b"http://\xff/"[..],
            b"http://a/\n",
            b"http://a/\tb",
            b"\rhttp://a/",
        ] {
            assert_eq!(parse_url(url).unwrap_err().number, EHTTP_URL);
        }
    }

    #[test]
    fn invalid_headers_are_refused() {
        let client = a_client();
        for header in [("a b", "c"), ("", "c"), ("a", "c\r\nd: e")] {
            let bytes = packed(b"http://a/", &[header]);
            let refused = unpack(&client, deadline(&bytes).1).unwrap_err();
            assert_eq!(refused.number, errno(libc::EINVAL));
        }
    }
}
