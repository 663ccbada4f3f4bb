// SPDX-License-Identifier: MIT OR Apache-2.0
//! Servers with a certificate of their own, of HTTP/1.1 and HTTP/2.

use std::ffi::{c_char, CStr};
use std::net::TcpListener;
use std::sync::Arc;

use bytes::Bytes;
use nart_tokio::{Bridge, NartTokio, Res};
use rcgen::{CertifiedKey, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret";

pub type Fails<T> = Result<T, Box<dyn std::error::Error>>;
type Made = CertifiedKey<KeyPair>;

/// What a server does: TEST_TLS_* in futures.h.
const ASKS: u32 = 1;
const HTTP2: u32 = 2;
const PLAIN: u32 = 4;

fn made(name: &str) -> Fails<Made> {
    Ok(rcgen::generate_simple_self_signed([name.to_owned()])?)
}

/// `client`: whose certificate is required.
fn acceptor(server: &Made, client: Option<&Made>, http2: bool) -> Fails<TlsAcceptor> {
    let key = PrivateKeyDer::try_from(server.signing_key.serialize_der())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?;
    let builder = match client {
        None => builder.with_no_client_auth(),
        Some(client) => {
            let mut roots = RootCertStore::empty();
            roots.add(client.cert.der().clone())?;
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build()?)
        }
    };
    let mut config = builder.with_single_cert(vec![server.cert.der().clone()], key)?;
    if http2 {
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    }
    Ok(TlsAcceptor::from(Arc::new(config)))
}

async fn http1(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = [0; 4096];
    let _ = stream.read(&mut request).await;
    let _ = stream.write_all(ANSWER).await;
    let _ = stream.shutdown().await;
}

/// By path: "/refuse" resets the stream instead of answering, "/break" says that the body is longer.
async fn http2(stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<(), h2::Error> {
    let mut connection = h2::server::handshake(stream).await?;
    while let Some(request) = connection.accept().await {
        let (request, mut respond) = request?;
        let path = request.uri().path();
        if path == "/refuse" {
            respond.send_reset(h2::Reason::REFUSED_STREAM);
            continue;
        }
        let mut head = http::Response::builder().header("x-protocol", "h2");
        if path == "/break" {
            head = head.header("content-length", "7");
        }
        let mut body = respond.send_response(head.body(()).unwrap_or_default(), false)?;
        body.send_data(Bytes::from_static(b"secret"), true)?;
    }
    Ok(())
}

async fn serve(stream: tokio::net::TcpStream, acceptor: Option<TlsAcceptor>) {
    let Some(acceptor) = acceptor else {
        let _ = http2(stream).await;
        return;
    };
    let Ok(stream) = acceptor.accept(stream).await else {
        return;
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        let _ = http2(stream).await;
    } else {
        http1(stream).await;
    }
}

fn start(bridge: &Bridge, acceptor: Option<TlsAcceptor>) -> Fails<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let accept = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            drop(tokio::spawn(serve(stream, acceptor.clone())));
        }
    };
    let accept = async move {
        let ended: std::io::Result<()> = accept.await;
        ended
    };
    let operation = bridge.spawn(accept).map_err(|_| "refused")?;
    let mut c = operation.into_c();
    // SAFETY: it is open, and not used again.
    unsafe { nart_tokio::nart_tokio_op_detach(&mut c) };
    Ok(port)
}

pub fn answer(started: Fails<()>) -> Res {
    match started {
        Ok(()) => 0,
        Err(e) => {
            eprintln!("no TLS server: {e}");
            super::errno(libc::EIO)
        }
    }
}

#[no_mangle]
pub unsafe extern "C" fn test_tls_server(
    rt: *mut NartTokio,
    ca: *const c_char,
    port: *mut u16,
) -> Res {
    // SAFETY: the test's promises.
    let (bridge, ca) = unsafe { (Bridge::from_c(rt), CStr::from_ptr(ca).to_string_lossy()) };
    let started = || -> Fails<()> {
        let server = made("localhost")?;
        std::fs::write(&*ca, server.cert.pem())?;
        let number = start(
            bridge.ok_or("no bridge")?,
            Some(acceptor(&server, None, false)?),
        )?;
        // SAFETY: the test's promises.
        unsafe { port.write(number) };
        Ok(())
    };
    answer(started())
}

/// `struct test_tls`.
#[repr(C)]
pub struct TestTls {
    port: u16,
    ca: [u8; 2048],
    cert: [u8; 2048],
    key: [u8; 2048],
}

pub fn copy(to: &mut [u8], pem: &str) {
    to[..pem.len()].copy_from_slice(pem.as_bytes());
    to[pem.len()] = 0;
}

#[no_mangle]
pub unsafe extern "C" fn test_tls_open(rt: *mut NartTokio, what: u32, tls: *mut TestTls) -> Res {
    // SAFETY: the test's promises.
    let (bridge, tls) = unsafe { (Bridge::from_c(rt), &mut *tls) };
    let mut started = || -> Fails<()> {
        let (server, client) = (made("localhost")?, made("client")?);
        copy(&mut tls.ca, &server.cert.pem());
        copy(&mut tls.cert, &client.cert.pem());
        copy(&mut tls.key, &client.signing_key.serialize_pem());
        let asked = (what & ASKS != 0).then_some(&client);
        let acceptor = acceptor(&server, asked, what & HTTP2 != 0)?;
        let acceptor = (what & PLAIN == 0).then_some(acceptor);
        tls.port = start(bridge.ok_or("no bridge")?, acceptor)?;
        Ok(())
    };
    answer(started())
}
