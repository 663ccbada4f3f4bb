/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! 64 bytes to an echo task over loopback and back, both ends on one thread. The buffers are larger
//! than the message, so that a short read can tell the runtime that no more is there.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{spawn, spawn_local};

use crate::bridge::runtime;

const MESSAGE: usize = 64;
const BUFFER: usize = 2048;

pub async fn tcp_echo(n: u64) -> f64 {
    let (listener, address) = listen().await;
    let server = spawn_local(serve(listener));
    let per_trip = trips(address, n).await;
    server.await.expect("an end");
    per_trip
}

/// The connections share n trips.
pub async fn crowd(n: u64, count: usize) -> f64 {
    let (listener, address) = listen().await;
    let mut streams = Vec::new();
    for _ in 0..count {
        let stream = TcpStream::connect(address).await.expect("connect");
        stream.set_nodelay(true).expect("nodelay");
        let (other, _) = listener.accept().await.expect("accept");
        spawn_local(echo(other));
        streams.push(stream);
    }
    streams = shared(streams, n / 10).await;
    let start = Instant::now();
    shared(streams, n).await;
    start.elapsed().as_nanos() as f64 / n as f64
}

async fn shared(streams: Vec<TcpStream>, n: u64) -> Vec<TcpStream> {
    let each = n / streams.len() as u64;
    let tasks: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            spawn_local(async move {
                pass(&mut stream, each).await;
                stream
            })
        })
        .collect();
    let mut back = Vec::new();
    for task in tasks {
        back.push(task.await.expect("a client"));
    }
    back
}

/// Both ends are tasks of the worker of a multi-thread runtime.
pub fn worker_tcp_echo(n: u64) -> f64 {
    runtime().block_on(async {
        let (listener, address) = listen().await;
        let server = spawn(serve(listener));
        let per_trip = spawn(trips(address, n)).await;
        server.await.expect("an end");
        per_trip.expect("a figure")
    })
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let address = listener.local_addr().expect("address");
    (listener, address)
}

async fn serve(listener: TcpListener) {
    let (stream, _) = listener.accept().await.expect("accept");
    echo(stream).await;
}

async fn echo(mut stream: TcpStream) {
    stream.set_nodelay(true).expect("nodelay");
    let mut buf = [0u8; BUFFER];
    loop {
        let got = stream.read(&mut buf).await.expect("read");
        if got == 0 {
            return;
        }
        stream.write_all(&buf[..got]).await.expect("write");
    }
}

/// As `timed`, whose future may not move to another thread.
async fn trips(address: SocketAddr, n: u64) -> f64 {
    let mut stream = TcpStream::connect(address).await.expect("connect");
    stream.set_nodelay(true).expect("nodelay");
    pass(&mut stream, n / 10).await;
    let start = Instant::now();
    pass(&mut stream, n).await;
    start.elapsed().as_nanos() as f64 / n as f64
}

async fn pass(stream: &mut TcpStream, n: u64) {
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
}
