// SPDX-License-Identifier: MIT OR Apache-2.0
//! How waits are left and resumed: which waker is woken, and how often.

use std::pin::{pin, Pin};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncBufRead, AsyncWrite};

use super::*;
use crate::ends::guest::tests::{poll, task, wakes, EventLoop};

/// Runs a test with the ends of a channel of each kind.
fn each(capacity: usize, test: impl Fn(BytesSender, BytesReceiver)) {
    let event_loop = EventLoop::new();
    for open in [spsc, mpsc] {
        // SAFETY: the runtime of this thread.
        let (tx, rx) = unsafe { open(event_loop.rt(), capacity, 0) }.unwrap();
        test(tx, rx);
    }
}

#[test]
fn a_message_wakes_the_receiver_once() {
    each(1024, |mut tx, mut rx| {
        let (counts, waker) = task();
        let mut recv = pin!(rx.recv());
        assert!(poll(&waker, recv.as_mut()).is_pending());
        tx.try_send(b"1").unwrap();
        tx.try_send(b"2").unwrap();
        assert_eq!(wakes(&counts), 1);
        assert!(poll(&waker, recv.as_mut()).is_ready());
        assert_eq!(wakes(&counts), 1);
    });
}

#[test]
fn the_task_that_polled_last_is_woken() {
    each(1024, |mut tx, mut rx| {
        let ((first, first_waker), (second, second_waker)) = (task(), task());
        let mut recv = pin!(rx.recv());
        assert!(poll(&first_waker, recv.as_mut()).is_pending());
        assert!(poll(&second_waker, recv.as_mut()).is_pending());
        tx.try_send(b"1").unwrap();
        assert_eq!((wakes(&first), wakes(&second)), (0, 1));
    });
}

#[test]
fn a_dropped_recv_is_not_woken_and_takes_nothing() {
    each(1024, |mut tx, mut rx| {
        let (counts, waker) = task();
        assert!(poll(&waker, pin!(rx.recv())).is_pending());
        tx.try_send(b"1").unwrap();
        assert_eq!(wakes(&counts), 0);
        assert_eq!(&*rx.try_recv().unwrap(), b"1");
    });
}

#[test]
fn a_recv_that_was_woken_and_dropped_takes_nothing() {
    each(1024, |mut tx, mut rx| {
        let (counts, waker) = task();
        {
            let mut recv = pin!(rx.recv());
            assert!(poll(&waker, recv.as_mut()).is_pending());
            tx.try_send(b"1").unwrap();
        }
        assert_eq!(wakes(&counts), 1);
        let Poll::Ready(Ok(Some(message))) = poll(&waker, pin!(rx.recv())) else {
            panic!("the message is there");
        };
        assert_eq!(&*message, b"1");
    });
}

#[test]
fn a_dropped_send_leaves_the_queue() {
    let event_loop = EventLoop::new();
    // SAFETY: the runtime of this thread.
    let (mut first, mut rx) = unsafe { mpsc(event_loop.rt(), 64, 64) }.unwrap();
    let mut second = first.try_clone().unwrap();
    let (counts, waker) = task();
    second.try_send(&[0; 64]).unwrap();
    {
        let mut ahead = pin!(first.send(&[1; 64]));
        let mut behind = pin!(second.send(&[2; 64]));
        assert!(poll(&waker, ahead.as_mut()).is_pending());
        assert!(poll(&waker, behind.as_mut()).is_pending());
    }
    assert!(poll(&waker, pin!(first.send(&[1; 64]))).is_pending());
    drop(rx.try_recv().unwrap());
    assert_eq!(wakes(&counts), 0);
    second.try_send(&[2; 64]).unwrap();
    assert_eq!(rx.try_recv().unwrap()[0], 2);
}

#[test]
fn an_aborted_write_leaves_the_queue() {
    let event_loop = EventLoop::new();
    // SAFETY: the runtime of this thread.
    let (mut first, mut rx) = unsafe { mpsc(event_loop.rt(), 64, 64) }.unwrap();
    let mut second = first.try_clone().unwrap();
    let (_, waker) = task();
    let mut cx = Context::from_waker(&waker);
    second.try_send(&[0; 64]).unwrap();
    assert!(Pin::new(&mut first)
        .poll_write(&mut cx, &[1; 64])
        .is_pending());
    drop(rx.try_recv().unwrap());
    assert!(second.try_send(&[2; 64]).unwrap_err().is_would_block());
    first.abort_write();
    second.try_send(&[2; 64]).unwrap();
}

#[test]
fn what_is_left_of_a_message_is_received() {
    let event_loop = EventLoop::new();
    // SAFETY: the runtime of this thread.
    let (mut tx, mut rx) = unsafe { spsc(event_loop.rt(), 64, 0) }.unwrap();
    let (_, waker) = task();
    let mut cx = Context::from_waker(&waker);
    tx.try_send(b"").unwrap();
    tx.try_send(b"abcdef").unwrap();
    let Poll::Ready(Ok(part)) = Pin::new(&mut rx).poll_fill_buf(&mut cx) else {
        panic!("a message is there");
    };
    assert_eq!(part, b"abcdef");
    Pin::new(&mut rx).consume(2);
    assert_eq!(&*rx.try_recv().unwrap(), b"cdef");
    assert!(rx.try_recv().unwrap_err().is_would_block());
}

#[test]
fn a_leaked_message_is_released_by_the_next_receive() {
    let event_loop = EventLoop::new();
    // SAFETY: the runtime of this thread.
    let (mut tx, mut rx) = unsafe { spsc(event_loop.rt(), 64, 64) }.unwrap();
    tx.try_send(&[1; 64]).unwrap();
    std::mem::forget(rx.try_recv().unwrap());
    assert!(tx.try_send(b"2").unwrap_err().is_would_block());
    assert!(rx.try_recv().unwrap_err().is_would_block());
    tx.try_send(b"2").unwrap();
    assert_eq!(&*rx.try_recv().unwrap(), b"2");
}

#[test]
fn threads_that_block() {
    each(64, |mut tx, mut rx| {
        let soon = Some(Duration::from_millis(1));
        assert!(rx.recv_blocking(soon).unwrap_err().is_timeout());
        let reader = std::thread::spawn(move || {
            let mut n = 0;
            while let Some(message) = rx.recv_blocking(None).unwrap() {
                n += message.len();
            }
            n
        });
        for _ in 0..1000 {
            tx.send_blocking(&[7; 40], None).unwrap();
        }
        drop(tx);
        assert_eq!(reader.join().unwrap(), 40_000);
    });
}

#[test]
fn errors_of_the_arguments() {
    let event_loop = EventLoop::new();
    // SAFETY: the runtime of this thread, or none.
    unsafe {
        let rt = event_loop.rt();
        let refused = |rt, capacity, max| spsc(rt, capacity, max).unwrap_err().code();
        assert_eq!(
            refused(std::ptr::null_mut(), 64, 0),
            Error::errno(libc::EINVAL).code()
        );
        assert_eq!(refused(rt, 0, 0), Error::errno(libc::EINVAL).code());
        let (mut tx, rx) = spsc(rt, 64, 16).unwrap();
        assert_eq!(
            tx.try_send(&[0; 17]).unwrap_err(),
            Error::errno(libc::EMSGSIZE)
        );
        assert_eq!(tx.try_clone().unwrap_err(), Error::errno(libc::EINVAL));
        assert_eq!(
            format!("{tx:?}"),
            "BytesSender { max_len: 16, is_closed: false, .. }"
        );
        drop(rx);
        assert!(tx.is_closed());
    }
}
