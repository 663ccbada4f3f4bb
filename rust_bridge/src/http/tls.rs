// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS of a client: rustls with ring, never the process's default crypto provider. Servers are always
//! verified.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;

type Certificates = Vec<CertificateDer<'static>>;

/// The certificates that servers are verified against.
#[derive(Default)]
pub struct Roots {
    /// Without those of the platform, which are read from files.
    pub only_own: bool,
    pub own: Certificates,
}

/// The certificate of the client, with its chain, and its private key.
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

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, String> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| e.to_string())
}

/// For http: reqwest requires a configuration.
pub fn unused() -> Result<ClientConfig, String> {
    let no_roots = builder()?.with_root_certificates(RootCertStore::empty());
    Ok(no_roots.with_no_client_auth())
}

/// For https. `alpn`: the protocols to offer. Reads files, unless the roots are the client's own.
pub fn config(
    roots: &Roots,
    identity: Option<&Identity>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, String> {
    let text = |e: rustls::Error| e.to_string();
    let builder = builder()?;
    let builder = if roots.only_own {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.own.iter().cloned());
        builder.with_root_certificates(store)
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
