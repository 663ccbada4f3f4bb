// SPDX-License-Identifier: MIT OR Apache-2.0
//! The HTTP clients of a bridge: reqwest with rustls and ring.
//!
//! One is for http and one for https, which the first such requests make. Their connections are
//! tasks of the bridge's runtime and end with it. The client for https uses ring, never the
//! process's default crypto provider; its roots are the platform's (or those of SSL_CERT_FILE and
//! SSL_CERT_DIR). So http needs no certificates. No proxies.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::Url;
use rustls_platform_verifier::BuilderVerifierExt;
use tokio::sync::OnceCell;

use super::errors::{chain, EHTTP_OTHER, EHTTP_TLS};
use super::names::{Names, Resolver};
use crate::outcome::Outcome;
use crate::panic::catch;
use crate::sys::errno;

/// Connections per host that are kept for the next request, and for how long.
const IDLE_MAX: usize = 16;
const IDLE_TIME: Duration = Duration::from_secs(30);

/// Header fields of a response.
const HEADERS_MAX: usize = 1000;

/// The HTTP clients of a bridge.
#[derive(Default)]
pub struct Client {
    http: OnceLock<reqwest::Client>,
    https: OnceCell<reqwest::Client>,
}

impl Client {
    pub fn http(&self, names: &Arc<Names>) -> Result<&reqwest::Client, Outcome> {
        if let Some(client) = self.http.get() {
            return Ok(client);
        }
        let made = http(names.clone()).map_err(|text| Outcome::error(EHTTP_OTHER, text))?;
        Ok(self.http.get_or_init(|| made))
    }

    /// The client for a URL.
    pub async fn get(&self, url: &Url, names: &Arc<Names>) -> Result<&reqwest::Client, Outcome> {
        match url.scheme() {
            "https" => self.https.get_or_try_init(|| https(names.clone())).await,
            _ => self.http(names),
        }
    }
}

pub fn http(names: Arc<Names>) -> Result<reqwest::Client, String> {
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
        .http1_max_headers(HEADERS_MAX)
        .dns_resolver(Arc::new(Resolver(names)))
        .build()
        .map_err(|e| chain(&e))
}
