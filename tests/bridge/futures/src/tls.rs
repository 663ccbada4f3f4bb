// SPDX-License-Identifier: MIT OR Apache-2.0
//! A TLS server with a certificate of its own.

use std::ffi::{c_char, CStr};
use std::net::TcpListener;
use std::sync::Arc;

use nart_tokio::{Bridge, NartTokio, Res};
use rustls::pki_types::PrivateKeyDer;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\nconnection: close\r\n\r\nsecret";

type Fails<T> = Result<T, Box<dyn std::error::Error>>;

fn acceptor(ca: &str) -> Fails<TlsAcceptor> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(ca, made.cert.pem())?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn start(bridge: &Bridge, ca: &str) -> Fails<u16> {
    let acceptor = acceptor(ca)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let port = listener.local_addr()?.port();
    let serve = async move {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(ANSWER).await;
            let _ = stream.shutdown().await;
        }
    };
    let serve = async move {
        let ended: std::io::Result<()> = serve.await;
        ended
    };
    let operation = bridge.spawn(serve).map_err(|_| "refused")?;
    let mut c = operation.into_c();
    // SAFETY: it is open, and not used again.
    unsafe { nart_tokio::nart_tokio_op_detach(&mut c) };
    Ok(port)
}

#[no_mangle]
pub unsafe extern "C" fn test_tls_server(
    rt: *mut NartTokio,
    ca: *const c_char,
    port: *mut u16,
) -> Res {
    // SAFETY: the test's promises.
    let (bridge, ca) = unsafe { (Bridge::from_c(rt), CStr::from_ptr(ca).to_string_lossy()) };
    match bridge
        .ok_or("no bridge".into())
        .and_then(|bridge| start(bridge, &ca))
    {
        Ok(number) => {
            // SAFETY: the test's promises.
            unsafe { port.write(number) };
            0
        }
        Err(e) => {
            eprintln!("no TLS server: {e}");
            super::errno(libc::EIO)
        }
    }
}
