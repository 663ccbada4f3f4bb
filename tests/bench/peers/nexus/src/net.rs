/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! 64 bytes to an echo task over loopback and back, both ends on one thread. The buffers are larger
//! than the message, so that a short read can tell the runtime that no more is there.

use nexus_async_rt::{TcpListener, TcpStream, spawn_boxed};

use crate::measure::timed;

const MESSAGE: usize = 64;
const BUFFER: usize = 2048;

pub async fn tcp_echo(n: u64) -> f64 {
    let any = "127.0.0.1:0".parse().expect("an address");
    let mut listener = TcpListener::bind(any).expect("bind");
    let address = listener.local_addr().expect("address");
    let server = spawn_boxed(async move {
        let (mut stream, _) = listener.accept().await.expect("accept");
        stream.set_nodelay(true).expect("nodelay");
        let mut buf = [0u8; BUFFER];
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
        let mut buf = [0xABu8; BUFFER];
        for _ in 0..n {
            stream.write_all(&buf[..MESSAGE]).await.expect("write");
            let mut filled = 0;
            while filled < MESSAGE {
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
