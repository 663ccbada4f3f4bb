// SPDX-License-Identifier: MIT OR Apache-2.0
//! How waits are left and resumed, and the sink's one value.

use std::pin::{pin, Pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_core::{Future, Stream};
use futures_sink::Sink;

use super::*;
use crate::ends::guest::tests::{poll, task, wakes, EventLoop};

type Both = fn(*mut Rt, usize) -> Result<(Sender<u64>, Receiver<u64>), Error>;

fn each(test: impl Fn(Both)) {
    // SAFETY: the tests pass their own runtime.
    test(|rt, capacity| unsafe { spsc(rt, capacity) });
    // SAFETY: as above.
    test(|rt, capacity| unsafe { mpsc(rt, capacity) });
}

#[test]
fn a_value_wakes_the_receiver_once() {
    each(|open| {
        let event_loop = EventLoop::new();
        let (mut tx, mut rx) = open(event_loop.rt(), 16).unwrap();
        let (counts, waker) = task();
        let mut recv = pin!(rx.recv());
        assert!(poll(&waker, recv.as_mut()).is_pending());
        tx.try_send(1).unwrap();
        tx.try_send(2).unwrap();
        assert_eq!(wakes(&counts), 1);
        assert_eq!(poll(&waker, recv.as_mut()), Poll::Ready(Ok(Some(1))));
    });
}

#[test]
fn a_free_slot_wakes_the_sender_that_polled_last() {
    each(|open| {
        let event_loop = EventLoop::new();
        let (mut tx, mut rx) = open(event_loop.rt(), 1).unwrap();
        let ((first, first_waker), (second, second_waker)) = (task(), task());
        tx.try_send(1).unwrap();
        let mut send = pin!(tx.send(2));
        assert!(poll(&first_waker, send.as_mut()).is_pending());
        assert!(poll(&second_waker, send.as_mut()).is_pending());
        assert_eq!(rx.try_recv(), Ok(1));
        assert_eq!((wakes(&first), wakes(&second)), (0, 1));
        assert_eq!(poll(&second_waker, send.as_mut()), Poll::Ready(Ok(())));
        assert_eq!(rx.try_recv(), Ok(2));
    });
}

#[test]
fn the_end_of_a_side_wakes_the_other() {
    each(|open| {
        let event_loop = EventLoop::new();
        let (counts, waker) = task();
        let (tx, mut rx) = open(event_loop.rt(), 1).unwrap();
        let mut recv = pin!(rx.recv());
        assert!(poll(&waker, recv.as_mut()).is_pending());
        drop(tx);
        assert_eq!(wakes(&counts), 1);
        assert_eq!(poll(&waker, recv.as_mut()), Poll::Ready(Ok(None)));
        let (mut tx, rx) = open(event_loop.rt(), 1).unwrap();
        tx.try_send(1).unwrap();
        let mut send = pin!(tx.send(2));
        assert!(poll(&waker, send.as_mut()).is_pending());
        drop(rx);
        assert_eq!(wakes(&counts), 2);
        let Poll::Ready(Err(error)) = poll(&waker, send.as_mut()) else {
            panic!("it does not wait any more");
        };
        assert!(error.is_closed());
    });
}

#[test]
fn a_dropped_recv_is_not_woken_and_takes_nothing() {
    each(|open| {
        let event_loop = EventLoop::new();
        let (mut tx, mut rx) = open(event_loop.rt(), 16).unwrap();
        let (counts, waker) = task();
        assert!(poll(&waker, pin!(rx.recv())).is_pending());
        tx.try_send(1).unwrap();
        assert_eq!(wakes(&counts), 0);
        assert_eq!(rx.try_recv(), Ok(1));
    });
}

/// It was granted the slot already.
#[test]
fn a_dropped_send_passes_its_slot_on() {
    let event_loop = EventLoop::new();
    // SAFETY: the runtime of this thread.
    let (mut first, mut rx) = unsafe { mpsc(event_loop.rt(), 1) }.unwrap();
    let mut second = first.try_clone().unwrap();
    let ((ahead, ahead_waker), (behind, behind_waker)) = (task(), task());
    first.try_send(0).unwrap();
    let mut waits = pin!(second.send(2));
    {
        let mut dropped = pin!(first.send(1));
        assert!(poll(&ahead_waker, dropped.as_mut()).is_pending());
        assert!(poll(&behind_waker, waits.as_mut()).is_pending());
        assert_eq!(rx.try_recv(), Ok(0));
        assert_eq!((wakes(&ahead), wakes(&behind)), (1, 0));
    }
    assert_eq!((wakes(&ahead), wakes(&behind)), (1, 1));
    assert_eq!(poll(&behind_waker, waits.as_mut()), Poll::Ready(Ok(())));
    assert_eq!(rx.try_recv(), Ok(2));
}

#[test]
fn a_sink_keeps_one_value() {
    each(|open| {
        let event_loop = EventLoop::new();
        let (mut tx, mut rx) = open(event_loop.rt(), 1).unwrap();
        let (counts, waker) = task();
        let mut cx = Context::from_waker(&waker);
        for value in 0..2 {
            assert_eq!(Pin::new(&mut tx).poll_ready(&mut cx), Poll::Ready(Ok(())));
            assert_eq!(Pin::new(&mut tx).start_send(value), Ok(()));
        }
        assert!(Pin::new(&mut tx).poll_ready(&mut cx).is_pending());
        assert!(tx.try_send(2).unwrap_err().is_would_block());
        assert!(Pin::new(&mut tx).poll_close(&mut cx).is_pending());
        assert_eq!(rx.try_recv(), Ok(0));
        assert_eq!(wakes(&counts), 1);
        assert_eq!(Pin::new(&mut tx).poll_close(&mut cx), Poll::Ready(Ok(())));
        assert!(tx.try_send(2).unwrap_err().is_closed());
        assert_eq!(
            Pin::new(&mut rx).poll_next(&mut cx),
            Poll::Ready(Some(Ok(1)))
        );
        assert_eq!(Pin::new(&mut rx).poll_next(&mut cx), Poll::Ready(None));
    });
}

#[test]
fn every_way_to_send_begins_with_the_value_that_the_sink_has_kept() {
    each(|open| {
        let event_loop = EventLoop::new();
        let (_, waker) = task();
        let mut cx = Context::from_waker(&waker);
        let sends: [fn(&mut Sender<u64>, &mut Context<'_>); 3] = [
            |tx, cx| assert_eq!(pin!(tx.send(3)).poll(cx), Poll::Ready(Ok(()))),
            |tx, _| tx.try_send(3).unwrap(),
            |tx, _| tx.send_blocking(3, None).unwrap(),
        ];
        for send in sends {
            let (mut tx, mut rx) = open(event_loop.rt(), 2).unwrap();
            for value in 0..3 {
                assert_eq!(Pin::new(&mut tx).start_send(value), Ok(()));
            }
            assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(0), Ok(1)));
            send(&mut tx, &mut cx);
            assert_eq!((rx.try_recv(), rx.try_recv()), (Ok(2), Ok(3)));
        }
    });
}

#[test]
fn threads_that_block() {
    each(|open| {
        let event_loop = EventLoop::new();
        let (mut tx, mut rx) = open(event_loop.rt(), 4).unwrap();
        let soon = Some(Duration::from_millis(1));
        assert!(rx.recv_blocking(soon).unwrap_err().is_timeout());
        let reader = std::thread::spawn(move || {
            let mut sum = 0;
            while let Some(value) = rx.recv_blocking(None).unwrap() {
                sum += value;
            }
            sum
        });
        for value in 0..1000 {
            tx.send_blocking(value, None).unwrap();
        }
        drop(tx);
        assert_eq!(reader.join().unwrap(), 499_500);
    });
}

#[test]
fn values_of_another_size() {
    let event_loop = EventLoop::new();
    // SAFETY: the runtime of this thread; the ends are this thread's.
    unsafe {
        let (tx, rx) = spsc::<u64>(event_loop.rt(), 1).unwrap();
        let (mut tx, mut rx) = (tx.into_c(), rx.into_c());
        const INVALID: Error = Error::errno(libc::EINVAL);
        assert_eq!(Sender::<u32>::from_c(&mut tx).unwrap_err(), INVALID);
        assert_eq!(Receiver::<u32>::from_c(&mut rx).unwrap_err(), INVALID);
        let tx = Sender::<u64>::from_c(&mut tx).unwrap();
        assert_eq!(
            format!("{tx:?}"),
            "Sender { len: 0, capacity: 1, is_closed: false, .. }"
        );
        drop(Receiver::<u64>::from_c(&mut rx).unwrap());
        assert!(tx.is_closed());
        assert_eq!(spsc::<()>(event_loop.rt(), 1).unwrap_err(), INVALID);
    }
}

#[test]
fn a_child_of_fork_wakes_no_task_of_the_parent() {
    let event_loop = EventLoop::new();
    // SAFETY: the runtime of this thread.
    let (tx, mut rx) = unsafe { spsc::<u64>(event_loop.rt(), 1) }.unwrap();
    let mut tx = tx.into_c();
    let (counts, waker) = task();
    let mut recv = pin!(rx.recv());
    assert!(poll(&waker, recv.as_mut()).is_pending());
    // SAFETY: the child closes its copy of the end, which wakes the receiver, and exits.
    unsafe {
        let child = libc::fork();
        if child == 0 {
            nart_tx_close(&mut tx);
            libc::_exit(wakes(&counts) as i32);
        }
        let mut status = 0;
        assert_eq!(libc::waitpid(child, &mut status, 0), child);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0);
        nart_tx_close(&mut tx);
    }
    assert_eq!(wakes(&counts), 1);
    assert_eq!(poll(&waker, recv.as_mut()), Poll::Ready(Ok(None)));
}

/// A waker that holds an end of the channel, and sends when it is dropped.
struct SendsInDrop(Mutex<Sender<u64>>);

impl Wake for SendsInDrop {
    fn wake(self: Arc<Self>) {}
}

impl Drop for SendsInDrop {
    fn drop(&mut self) {
        self.0.get_mut().unwrap().try_send(7).unwrap();
    }
}

#[test]
fn a_replaced_waker_may_use_the_channel_in_its_drop() {
    each(|open| {
        let event_loop = EventLoop::new();
        let (tx, mut rx) = open(event_loop.rt(), 1).unwrap();
        let first = Waker::from(Arc::new(SendsInDrop(Mutex::new(tx))));
        let (_, second) = task();
        let mut recv = Box::pin(rx.recv());
        assert!(poll(&first, recv.as_mut()).is_pending());
        drop(first); // the wait has the last one
        let answer = match poll(&second, recv.as_mut()) {
            Poll::Pending => poll(&second, recv.as_mut()),
            ready => ready,
        };
        assert_eq!(answer, Poll::Ready(Ok(Some(7))));
        drop(recv);
        assert_eq!(poll(&second, pin!(rx.recv())), Poll::Ready(Ok(None)));
    });
}

struct Panics;

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        panic!("in a waker");
    }
}

#[test]
fn a_waker_that_panics_harms_nobody() {
    each(|open| {
        let event_loop = EventLoop::new();
        let (mut tx, mut rx) = open(event_loop.rt(), 1).unwrap();
        let waker = Waker::from(Arc::new(Panics));
        let mut recv = Box::pin(rx.recv());
        assert!(poll(&waker, recv.as_mut()).is_pending());
        tx.try_send(1).unwrap();
        assert_eq!(poll(&waker, recv.as_mut()), Poll::Ready(Ok(Some(1))));
        drop(recv);
        let mut recv = pin!(rx.recv());
        assert!(poll(&waker, recv.as_mut()).is_pending());
        drop(tx);
        assert_eq!(poll(&waker, recv.as_mut()), Poll::Ready(Ok(None)));
    });
}
