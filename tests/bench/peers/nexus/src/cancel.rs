/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! Cancellation tokens: looking at one, and ending the wait of many tasks.

use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nexus_async_rt::{CancellationToken, spawn_boxed, yield_now};

use crate::measure::timed;

pub async fn check(n: u64) -> f64 {
    let token = CancellationToken::new();
    timed(n, async |n| {
        let mut seen = 0;
        for _ in 0..n {
            seen = black_box(seen + u64::from(black_box(&token).is_cancelled()));
        }
        assert_eq!(seen, 0);
    })
    .await
}

/// From the cancel of a token that `size` tasks wait for until they have run, for each of n tasks.
pub async fn crowd(n: u64, size: u64) -> f64 {
    crowds(n / 10 / size, size).await;
    let rounds = n / size;
    crowds(rounds, size).await.as_nanos() as f64 / (rounds * size) as f64
}

async fn crowds(rounds: u64, size: u64) -> Duration {
    let began = Rc::new(Cell::new(0));
    let ended = Rc::new(Cell::new(0));
    let mut spent = Duration::ZERO;
    for _ in 0..rounds {
        began.set(0);
        ended.set(0);
        let token = CancellationToken::new();
        for _ in 0..size {
            drop(spawn_boxed(wait(token.clone(), began.clone(), ended.clone())));
        }
        while began.get() < size {
            yield_now().await;
        }
        let start = Instant::now();
        token.cancel();
        while ended.get() < size {
            yield_now().await;
        }
        spent += start.elapsed();
    }
    spent
}

async fn wait(token: CancellationToken, began: Rc<Cell<u64>>, ended: Rc<Cell<u64>>) {
    began.set(began.get() + 1);
    token.cancelled().await;
    ended.set(ended.get() + 1);
}
