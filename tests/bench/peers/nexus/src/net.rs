/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! 64 bytes to an echo task over loopback and back, both ends on one thread.

use nexus_async_rt::{TcpListener, TcpStream, spawn_boxed};

use crate::harness::timed;

pub async fn tcp_echo(n: u64) -> f64 {
    let any = "127.0.0.1:0".parse().expect("an address");
    let mut listener = TcpListener::bind(any).expect("bind");
    let address = listener.local_addr().expect("address");
    let server = spawn_boxed(async move {
        let (mut stream, _) = listener.accept().await.expect("accept");
        stream.set_nodelay(true).expect("nodelay");
        let mut buf = [0u8; 64];
        loop {
            let got = stream.read(&mut buf).await.expect("read");
            if got == 0 {
                return;
            }
            stream.write_all(&buf[..got]).await.expect("write");
        }
    });
    let mut stream = TcpStream::connect(address).expect("connect");
    while stream.peer_addr().is_err() {
        nexus_async_rt::yield_now().await;
    }
    stream.set_nodelay(true).expect("nodelay");
    let per_trip = timed(n, async |n| {
        let mut buf = [0xABu8; 64];
        for _ in 0..n {
            stream.write_all(&buf).await.expect("write");
            let mut filled = 0;
            while filled < buf.len() {
                let got = stream.read(&mut buf[filled..]).await.expect("read");
                assert!(got > 0, "the server closed");
                filled += got;
            }
        }
    })
    .await;
    drop(stream);
    server.await;
    per_trip
}
