/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! The channel rows on crossbeam-channel, which has no tasks: threads block in it. Its bounded channel
//! is for many senders and many receivers.

#[path = "../../harness.rs"]
mod harness;
#[path = "../../message.rs"]
mod message;
#[path = "../../thread.rs"]
mod thread;

use std::hint::black_box;
use std::time::Instant;

use crossbeam_channel::{TrySendError, bounded};
use harness::Row;
use message::{message, number_of};
use thread::sender;

/// As of measure.rs, without a loop.
fn timed(n: u64, mut work: impl FnMut(u64)) -> f64 {
    work(n / 10);
    let start = Instant::now();
    work(n);
    start.elapsed().as_nanos() as f64 / n as f64
}

fn pair(n: u64) -> f64 {
    let (tx, rx) = bounded::<u64>(64);
    timed(n, |n| {
        for i in 0..n {
            tx.try_send(i).expect("room");
            black_box(rx.try_recv().expect("a value"));
        }
    })
}

/// Messages of 64 bytes, copied in and out.
fn message_pair(n: u64) -> f64 {
    let (tx, rx) = bounded::<[u8; 64]>(64);
    timed(n, |n| {
        for i in 0..n {
            tx.try_send(message(i)).expect("room");
            let got = rx.try_recv().expect("a message");
            assert_eq!(number_of(&got), i);
            black_box(got.as_ptr());
        }
    })
}

/// Values from another thread to this one.
fn stream(n: u64) -> f64 {
    timed(n, |n| {
        let (tx, rx) = bounded::<u64>(1024);
        let thread = sender(n, move |i| match tx.try_send(i) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => false,
            Err(TrySendError::Disconnected(_)) => panic!("closed"),
        });
        for i in 0..n {
            assert_eq!(rx.recv().expect("a value"), i);
        }
        thread.join().expect("an end");
    })
}

const fn row(name: &'static str, task: fn(u64) -> f64) -> Row {
    Row { name, unit: "ns", task, root: None }
}

fn main() {
    harness::run(
        "crossbeam",
        &[
            row("spsc_pair", pair),
            row("mpsc_pair", pair),
            row("spsc_bytes_64", message_pair),
            row("mpsc_bytes_64", message_pair),
            row("spsc_stream", stream),
            row("mpsc_stream", stream),
        ],
    );
}
