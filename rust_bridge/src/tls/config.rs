// SPDX-License-Identifier: MIT OR Apache-2.0
//! Configurations of TLS: rustls with ring, never the process's default crypto provider. Clients always
//! verify servers.

use std::sync::Arc;

use rustls::client::verify_server_name;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::WebPkiClientVerifier;
use rustls::server::{ClientHello, NoServerSessionStorage, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, ServerConfig, WantsVerifier};
use rustls_platform_verifier::Verifier;

type Certificates = Vec<CertificateDer<'static>>;

/// The certificates that peers are verified against.
#[derive(Default)]
pub struct Roots {
    /// Without those of the platform, which are read from files.
    pub only_own: bool,
    pub own: Certificates,
}

/// A certificate, with its chain, and its private key.
pub struct Identity {
    chain: Certificates,
    key: PrivateKeyDer<'static>,
}

fn certificates(what: &str, pem: &[u8]) -> Result<Certificates, String> {
    let all: Result<Certificates, _> = CertificateDer::pem_slice_iter(pem).collect();
    match all {
        Ok(all) if all.is_empty() => {
            Err(format!("{what} contains no certificate: pass PEM, not DER"))
        }
        Ok(all) => Ok(all),
        Err(e) => Err(format!("{what} is not valid PEM: {e}")),
    }
}

impl Roots {
    /// Those that can be used. A store has no better error.
    fn store(&self) -> RootCertStore {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(self.own.iter().cloned());
        store
    }

    /// # Errors
    /// What is wrong with `ca`.
    pub fn parse(ca: &[u8], only_own: bool) -> Result<Roots, String> {
        let own = certificates("ca", ca)?;
        let mut store = RootCertStore::empty();
        for certificate in &own {
            let added = store.add(certificate.clone());
            added.map_err(|e| format!("ca contains a certificate that is not valid: {e}"))?;
        }
        Ok(Roots { only_own, own })
    }
}

impl Identity {
    /// # Errors
    /// What is wrong with `cert` or `key`.
    pub fn parse(cert: &[u8], key: &[u8]) -> Result<Identity, String> {
        let chain = certificates("cert", cert)?;
        let key = PrivateKeyDer::from_pem_slice(key)
            .map_err(|e| format!("key contains no private key in PEM: {e}"))?;
        let identity = Identity { chain, key };
        let config = builder()?.with_root_certificates(RootCertStore::empty());
        config
            .with_client_auth_cert(identity.chain.clone(), identity.key.clone_key())
            .map_err(|e| format!("key is not the private key of cert: {e}"))?;
        Ok(identity)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())
}

/// For http: reqwest requires a configuration.
#[cfg(feature = "http")]
pub fn unused() -> Result<ClientConfig, String> {
    let no_roots = builder()?.with_root_certificates(RootCertStore::empty());
    Ok(no_roots.with_no_client_auth())
}

/// Of a client. `alpn`: the protocols to offer. Reads files, unless the roots are the client's own.
pub fn client(
    roots: &Roots,
    identity: Option<&Identity>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, String> {
    let text = |e: rustls::Error| e.to_string();
    let builder = builder()?;
    let builder = if roots.only_own {
        builder.with_root_certificates(roots.store())
    } else {
        let provider = builder.crypto_provider().clone();
        let verifier = Verifier::new_with_extra_roots(roots.own.iter().cloned(), provider);
        builder
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier.map_err(text)?))
    };
    let mut config = match identity {
        None => builder.with_no_client_auth(),
        Some(Identity { chain, key }) => builder
            .with_client_auth_cert(chain.clone(), key.clone_key())
            .map_err(text)?,
    };
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    Ok(config)
}

/// What a server does.
#[derive(Default)]
pub struct Server<'a> {
    /// The certificates that those of clients are verified against. None: clients need none.
    pub roots: Option<&'a Roots>,
    /// A client without a certificate is accepted.
    pub optional: bool,
    /// Clients can resume sessions.
    pub resumes: bool,
    /// In order of preference.
    pub alpn: &'a [&'a [u8]],
}

/// The certificates of a server, one or more.
#[derive(Debug)]
struct ByName(Vec<Arc<CertifiedKey>>);

impl ByName {
    fn new(identities: &[Identity]) -> Result<ByName, rustls::Error> {
        let provider = provider();
        let certified = |Identity { chain, key }: &Identity| {
            let made = CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider)?;
            ParsedCertificate::try_from(&chain[0])?; // or is_for() would ignore it
            Ok(Arc::new(made))
        };
        let all: Result<_, rustls::Error> = identities.iter().map(certified).collect();
        Ok(ByName(all?))
    }
}

fn is_for(certified: &CertifiedKey, name: &ServerName) -> bool {
    let parsed = certified.cert.first().map(ParsedCertificate::try_from);
    matches!(parsed, Some(Ok(parsed)) if verify_server_name(&parsed, name).is_ok())
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let name = hello.server_name().map(ServerName::try_from);
        let found = match &name {
            Some(Ok(name)) => self.0.iter().find(|certified| is_for(certified, name)),
            _ => None,
        };
        found.or(self.0.first()).cloned()
    }
}

/// Of a server. The first one of `identities` that is valid for the name that the client asks for is
/// used, or else the first one.
pub fn server(identities: &[Identity], o: &Server) -> Result<ServerConfig, String> {
    let text = |e: rustls::Error| e.to_string();
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(text)?;
    let builder = match o.roots {
        None => builder.with_no_client_auth(),
        Some(roots) => {
            let store = Arc::new(roots.store());
            let verifier = WebPkiClientVerifier::builder_with_provider(store, provider());
            let verifier = match o.optional {
                true => verifier.allow_unauthenticated(),
                false => verifier,
            };
            builder.with_client_cert_verifier(verifier.build().map_err(|e| e.to_string())?)
        }
    };
    let by_name = ByName::new(identities).map_err(text)?;
    let mut config = builder.with_cert_resolver(Arc::new(by_name));
    config.alpn_protocols = o.alpn.iter().map(|name| name.to_vec()).collect();
    if o.resumes {
        config.ticketer = rustls::crypto::ring::Ticketer::new().map_err(text)?;
    } else {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}
