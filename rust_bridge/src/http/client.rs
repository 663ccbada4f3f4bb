// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP clients. Each bridge has one, for requests that name no other.
//!
//! A client consists of two of reqwest's, one for http and one for https, which the first such
//! requests make. So http needs no certificates. If it speaks HTTP/2, it has two more for WebSockets,
//! which need HTTP/1.1. Their connections are tasks of the bridge's runtime
//! and end with it. Requests keep their client alive.

use std::sync::{Arc, OnceLock};

use reqwest::redirect::Policy;
use reqwest::Url;
use rustls::ClientConfig;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::config::{Config, Http2};
use super::errors::{chain, EHTTP_OTHER, EHTTP_TLS};
use super::resolver::Resolver;
use crate::names::Names;
use crate::outcome::Outcome;
use crate::panic::catch;
use crate::sys::errno;
use crate::tls::config as tls;

/// Header fields of a response of HTTP/1, and the size of a head of HTTP/2.
const HEADERS_MAX: usize = 1000;
const HEAD_MAX: u32 = 256 << 10;

pub struct Client {
    pub config: Config,
    names: Arc<Names>,
    own: Pair,
    /// HTTP/1.1 only, if `own` is not.
    #[cfg(feature = "ws")]
    http1: Pair,
    permits: Option<Arc<Semaphore>>,
}

#[derive(Default)]
struct Pair {
    http: OnceLock<reqwest::Client>,
    https: OnceCell<reqwest::Client>,
}

impl Client {
    pub fn new(config: Config, names: Arc<Names>) -> Arc<Client> {
        let permits = config.max_requests.map(|n| Arc::new(Semaphore::new(n)));
        Arc::new(Client {
            config,
            names,
            own: Pair::default(),
            #[cfg(feature = "ws")]
            http1: Pair::default(),
            permits,
        })
    }

    /// Waits until another request may run, which then holds the permit.
    pub async fn permit(&self) -> Option<OwnedSemaphorePermit> {
        let permits = self.permits.clone()?;
        permits.acquire_owned().await.ok() // it is never closed
    }

    /// The client for http. It can build requests of both schemes.
    pub fn http(&self) -> Result<&reqwest::Client, Outcome> {
        self.plain(&self.own, self.config.http2)
    }

    fn plain<'a>(&self, pair: &'a Pair, http2: Http2) -> Result<&'a reqwest::Client, Outcome> {
        if let Some(client) = pair.http.get() {
            return Ok(client);
        }
        let made = tls::unused().and_then(|tls| self.build(tls, http2));
        let made = made.map_err(|text| Outcome::error(EHTTP_OTHER, text))?;
        Ok(pair.http.get_or_init(|| made))
    }

    /// The client for a URL.
    pub async fn get(self: &Arc<Client>, url: &Url) -> Result<&reqwest::Client, Outcome> {
        self.get_of(&self.own, self.config.http2, url).await
    }

    /// The client for the URL of a WebSocket, with the scheme http or https.
    #[cfg(feature = "ws")]
    pub async fn get_http1(self: &Arc<Client>, url: &Url) -> Result<&reqwest::Client, Outcome> {
        let pair = match self.config.http2 {
            Http2::Off => &self.own,
            _ => &self.http1,
        };
        self.get_of(pair, Http2::Off, url).await
    }

    async fn get_of<'a>(
        self: &'a Arc<Client>,
        pair: &'a Pair,
        http2: Http2,
        url: &Url,
    ) -> Result<&'a reqwest::Client, Outcome> {
        match url.scheme() {
            "https" => pair.https.get_or_try_init(|| self.make_https(http2)).await,
            _ => self.plain(pair, http2),
        }
    }

    async fn make_https(self: &Arc<Client>, http2: Http2) -> Result<reqwest::Client, Outcome> {
        let failed = |text: String| Outcome::error(EHTTP_TLS, text);
        let client = self.clone();
        let make = move || {
            let alpn: &[&[u8]] = match http2 {
                Http2::Off => &[],
                Http2::Alpn => &[b"h2", b"http/1.1"],
                Http2::Only => &[b"h2"],
            };
            let Config {
                roots, identity, ..
            } = &client.config;
            let tls = tls::client(roots, identity.as_ref(), alpn)?;
            client.build(tls, http2)
        };
        if self.config.roots.only_own {
            return make().map_err(failed);
        }
        // On a blocking thread: this reads certificates from files. tokio panics if it cannot start one.
        let making = catch(|| tokio::task::spawn_blocking(make)).map_err(|_| {
            let text = "no thread could be started to read the certificates";
            Outcome::error(errno(libc::EAGAIN), text)
        })?;
        let made = making.await.map_err(|e| failed(e.to_string()))?;
        made.map_err(failed)
    }

    fn build(&self, tls: ClientConfig, http2: Http2) -> Result<reqwest::Client, String> {
        let c = &self.config;
        let resolver = Resolver::new(self.names.clone(), c.hosts.clone());
        let mut builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .pool_max_idle_per_host(c.max_idle)
            .pool_idle_timeout(c.idle_time)
            .http1_max_headers(HEADERS_MAX)
            .http2_max_header_list_size(HEAD_MAX)
            .gzip(c.gzip)
            .brotli(c.brotli)
            .dns_resolver(Arc::new(resolver));
        builder = match http2 {
            Http2::Off => builder.http1_only(),
            Http2::Alpn => builder,
            Http2::Only => builder.http2_prior_knowledge(),
        };
        if let Some(limit) = c.connect_timeout {
            builder = builder.connect_timeout(limit);
        }
        if let Some(name) = &c.user_agent {
            builder = builder.user_agent(name.clone());
        }
        if let Some(proxy) = &c.proxy {
            builder = builder.proxy(proxy.clone());
        }
        if let Some(path) = &c.unix_path {
            builder = builder.unix_socket(path.clone());
        }
        builder.build().map_err(|e| chain(&e))
    }
}
