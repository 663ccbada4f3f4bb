// SPDX-License-Identifier: MIT OR Apache-2.0
//! Sessions over a connection in memory, polled step by step: what is buffered while the peer does not
//! read. tests/bridge/test_ws*.c have the rest.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{session, Options};
use crate::bridge::lock;
use crate::byte_channel::{spsc, BytesReceiver, BytesSender};
use crate::ends::guest::tests::{task, EventLoop};
use crate::ffi::{NartWsMsg, NART_WS_BINARY, NART_WS_CLOSE, NART_WS_PING};
use crate::outcome::Outcome;

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

/// A session, and what it is connected to.
struct Session {
    wire: Arc<Mutex<Wire>>,
    tx: BytesSender,
    rx: BytesReceiver,
    running: Pin<Box<dyn Future<Output = Result<Outcome, Outcome>>>>,
    waker: Waker,
}

impl Session {
    fn poll(&mut self) -> Poll<Result<Outcome, Outcome>> {
        let future = self.running.as_mut();
        future.poll(&mut Context::from_waker(&self.waker))
    }

    /// Pings, until the buffer for the pongs, which the peer does not read, has no room.
    fn fill_with_pongs(&mut self) {
        for (n, payload) in [(1000, &[7; 125][..]), (100, &[])] {
            let mut pings = 0;
            for _ in 0..n {
                let input = &mut lock(&self.wire).input;
                input.extend([0x89, payload.len() as u8]);
                input.extend(payload);
            }
            for _ in 0..n {
                assert!(self.poll().is_pending());
                pings += receive(&mut self.rx, NART_WS_PING);
            }
            assert_eq!(pings, n);
        }
    }

    fn frames(&self) -> Vec<(u8, usize)> {
        frames(&lock(&self.wire).output)
    }
}

/// Runs a test with a session that has been polled, so it waits for a message of C.
fn with_session(test: impl Fn(Session)) {
    // The futures of a session take turns in being polled first.
    for polls in [1, 2] {
        with_session_polled(polls, &test);
    }
}

fn with_session_polled(polls: usize, test: impl Fn(Session)) {
    let event_loop = EventLoop::new();
    // SAFETY: the runtime of this thread.
    let channel = || unsafe { spsc(event_loop.rt(), 4096, 0) }.unwrap();
    let ((tx, outgoing), (incoming, rx)) = (channel(), channel());
    let options = Options {
        protocols: Vec::new(),
        max_message: 1000,
        max_frame: 1000,
        close_timeout: None,
    };
    let wire = Arc::new(Mutex::new(Wire::default()));
    let connection = Connection(wire.clone());
    let running = async move { session::run(connection, &options, outgoing, incoming).await };
    let mut session = Session {
        wire,
        tx,
        rx,
        running: Box::pin(running),
        waker: task().1,
    };
    for _ in 0..polls {
        assert!(session.poll().is_pending());
    }
    test(session);
}

fn message(kind: u32, code: u32, len: usize) -> Vec<u8> {
    let mut message = NartWsMsg { kind, code }.to_bytes().to_vec();
    message.resize(message.len() + len, 0);
    message
}

#[test]
fn pongs_that_the_peer_does_not_read_are_bounded() {
    with_session(|mut session| {
        session.fill_with_pongs();
        let large = message(NART_WS_BINARY, 0, 4096 - 8); // for which the buffer has no room
        session.tx.try_send(&large).unwrap();
        assert!(session.poll().is_pending());
        lock(&session.wire).room = usize::MAX;
        assert!(session.poll().is_pending());
        let frames = session.frames();
        let sent: usize = frames.iter().map(|(_, n)| n).sum();
        assert!(sent < 32 << 10, "{sent} bytes were buffered");
        assert!(frames.contains(&(2, 4096 - 8)));
    });
}

#[test]
fn a_close_is_answered_though_the_buffer_was_full() {
    with_session(|mut session| {
        session.fill_with_pongs();
        lock(&session.wire).input.extend([0x88, 2, 3, 0xe8]);
        assert!(session.poll().is_pending());
        lock(&session.wire).room = usize::MAX;
        assert!(session.poll().is_pending());
        assert_eq!(session.frames().last(), Some(&(8, 2)));
    });
}

#[test]
fn nothing_follows_a_close() {
    with_session(|mut session| {
        session.fill_with_pongs();
        let close = message(NART_WS_CLOSE, 1000, 0);
        session.tx.try_send(&close).unwrap();
        assert!(session.poll().is_pending());
        lock(&session.wire).room = usize::MAX;
        assert!(session.poll().is_pending());
        assert_eq!(session.frames().last(), Some(&(8, 2)));
    });
}
