/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! A server of HTTP/1.1 on a thread of its own: it answers each GET with 64 bytes and keeps the connection.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;
use tokio::task;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 64\r\n\r\n\
    ................................................................";

/// Starts it. It ends with the process.
pub fn start() -> SocketAddr {
    let tokio = Builder::new_current_thread().enable_io().build();
    let tokio = tokio.expect("a runtime");
    let listener = tokio.block_on(TcpListener::bind("127.0.0.1:0"));
    let listener = listener.expect("bind");
    let address = listener.local_addr().expect("address");
    std::thread::spawn(move || task::LocalSet::new().block_on(&tokio, accept(listener)));
    address
}

async fn accept(listener: TcpListener) {
    loop {
        let (stream, _) = listener.accept().await.expect("accept");
        stream.set_nodelay(true).expect("nodelay");
        drop(task::spawn_local(serve(stream)));
    }
}

async fn serve(mut stream: TcpStream) {
    let (mut buf, mut len) = ([0; 2048], 0);
    while let Ok(got @ 1..) = stream.read(&mut buf[len..]).await {
        len += got;
        if buf[..len].ends_with(b"\r\n\r\n") {
            len = 0;
            if stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }
}
