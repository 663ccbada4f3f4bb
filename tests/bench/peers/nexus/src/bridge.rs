/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! Work handed to tokio, and wakes that come from it.

use std::future::poll_fn;
use std::hint::{black_box, spin_loop};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};
use std::time::Instant;

use nexus_async_rt::tokio_compat::with_tokio;
use nexus_async_rt::{spawn_boxed, spawn_on_tokio};

use crate::measure::timed;
use crate::thread::pin_to;

/// n tasks spawned on tokio, then each awaited.
pub async fn batch(n: u64) -> f64 {
    timed(n, async |n| {
        let tasks: Vec<_> = (0..n).map(|i| spawn_on_tokio(async move { i })).collect();
        for task in tasks {
            black_box(task.await.expect("a value"));
        }
    })
    .await
}

/// A turn passes between a task of the loop and a tokio worker that spins: the worker wakes the
/// task, the task answers through an atomic and waits for the next wake.
struct Turns {
    asked: AtomicU64,
    answered: AtomicU64,
    waker: Mutex<Option<Waker>>,
}

pub fn wake_spin(n: u64) -> f64 {
    let turns = Arc::new(Turns {
        asked: AtomicU64::new(0),
        answered: AtomicU64::new(0),
        waker: Mutex::new(None),
    });
    pin_to(0);
    crate::runtime().block_on_busy(async move {
        let total = n / 10 + n;
        let answers = spawn_boxed(answer(turns.clone(), total));
        let per_trip = spawn_on_tokio(async move {
            pin_to(1);
            ask(&turns, n / 10);
            let start = Instant::now();
            ask(&turns, n);
            start.elapsed().as_nanos() as f64 / n as f64
        });
        answers.await;
        per_trip.await.expect("a figure")
    })
}

fn ask(turns: &Turns, n: u64) {
    for _ in 0..n {
        let waker = loop {
            if let Some(waker) = turns.waker.lock().expect("lock").take() {
                break waker;
            }
            spin_loop();
        };
        let turn = turns.asked.load(Ordering::Relaxed) + 1;
        turns.asked.store(turn, Ordering::Release);
        waker.wake();
        while turns.answered.load(Ordering::Acquire) != turn {
            spin_loop();
        }
    }
}

async fn answer(turns: Arc<Turns>, total: u64) {
    with_tokio(|| {
        poll_fn(move |cx| {
            let asked = turns.asked.load(Ordering::Acquire);
            if asked == total {
                turns.answered.store(asked, Ordering::Release);
                return Poll::Ready(());
            }
            *turns.waker.lock().expect("lock") = Some(cx.waker().clone());
            turns.answered.store(asked, Ordering::Release);
            Poll::Pending
        })
    })
    .await;
}
