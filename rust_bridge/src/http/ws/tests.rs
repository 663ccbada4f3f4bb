// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sessions over a connection in memory, polled step by step: what is buffered while the peer does not
//! read. tests/bridge/test_ws*.c have the rest.

use std::collections::VecDeque;
use std::io;
use std::pin::{pin, Pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{session, Options};
use crate::bridge::lock;
use crate::byte_channel::{spsc, BytesReceiver};
use crate::ends::guest::tests::{poll, task, EventLoop};
use crate::ffi::{NartWsMsg, NART_WS_BINARY, NART_WS_PING};

#[derive(Default)]
struct Wire {
    /// What the peer has sent.
    input: VecDeque<u8>,
    output: Vec<u8>,
    /// The number of bytes that the peer is ready to read.
    room: usize,
}

struct Connection(Arc<Mutex<Wire>>);

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let input = &mut lock(&self.0).input;
        if input.is_empty() {
            return Poll::Pending;
        }
        let n = buf.remaining().min(input.len());
        buf.put_slice(&input.drain(..n).collect::<Vec<u8>>());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let wire = &mut *lock(&self.0);
        let n = buf.len().min(wire.room);
        if n == 0 {
            return Poll::Pending;
        }
        wire.room -= n;
        wire.output.extend_from_slice(&buf[..n]);
        Poll::Ready(Ok(n))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// The frames of the client: opcodes and lengths of payloads.
fn frames(mut output: &[u8]) -> Vec<(u8, usize)> {
    let mut frames = Vec::new();
    while let [first, second, rest @ ..] = output {
        let (n, head) = match second & 0x7f {
            126 => (usize::from(rest[0]) << 8 | usize::from(rest[1]), 2),
            n => (usize::from(n), 0),
        };
        frames.push((first & 0xf, n));
        output = &rest[head + 4 + n..];
    }
    frames
}

/// How many messages of this kind are there. They are dropped.
fn receive(rx: &mut BytesReceiver, kind: u32) -> usize {
    let mut n = 0;
    while let Ok(message) = rx.try_recv() {
        n += usize::from(NartWsMsg::split(&message).unwrap().0.kind == kind);
    }
    n
}

#[test]
fn pongs_that_the_peer_does_not_read_are_bounded() {
    const PINGS: usize = 10_000;
    let event_loop = EventLoop::new();
    // SAFETY: the runtime of this thread.
    let channel = || unsafe { spsc(event_loop.rt(), 4096, 0) }.unwrap();
    let ((mut tx, outgoing), (incoming, mut rx)) = (channel(), channel());
    let options = Options {
        protocols: Vec::new(),
        max_message: 1000,
        max_frame: 1000,
        close_timeout: Some(Duration::ZERO),
    };
    let wire = Arc::new(Mutex::new(Wire::default()));
    let connection = Connection(wire.clone());
    let (_, waker) = task();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    let _entered = runtime.enter();
    let mut running = pin!(session::run(connection, &options, outgoing, incoming));

    assert!(poll(&waker, running.as_mut()).is_pending()); // it waits for a message of C
    let mut pings = 0;
    for _ in 0..PINGS {
        lock(&wire).input.extend([0x89, 125]);
        lock(&wire).input.extend([7; 125]);
        assert!(poll(&waker, running.as_mut()).is_pending());
        pings += receive(&mut rx, NART_WS_PING);
    }
    assert_eq!(pings, PINGS);
    let mut message = [0; 4096];
    message[..8].copy_from_slice(
        &NartWsMsg {
            kind: NART_WS_BINARY,
            code: 0,
        }
        .to_bytes(),
    );
    tx.try_send(&message).unwrap(); // for which the buffer has no room
    assert!(poll(&waker, running.as_mut()).is_pending());

    lock(&wire).room = usize::MAX;
    assert!(poll(&waker, running.as_mut()).is_pending());
    lock(&wire).input.extend([0x88, 2, 3, 0xe8]);
    assert!(poll(&waker, running.as_mut()).is_pending());
    let frames = frames(&lock(&wire).output);
    let sent: usize = frames.iter().map(|(_, n)| n).sum();
    assert!(sent < 32 << 10, "{sent} bytes were buffered");
    assert!(frames.contains(&(2, 4096 - 8)));
    assert_eq!(frames.last(), Some(&(8, 2)));
}
