/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! A sleep made, polled once and given up. Outside the cooperative budget, as a sleep polled
//! without budget would answer before it registers.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use tokio::task::unconstrained;
use tokio::time::{Duration, Instant, Sleep, sleep, sleep_until};

use crate::measure::timed;

pub async fn cancel_until(n: u64) -> f64 {
    let deadline = Instant::now() + Duration::from_secs(3600);
    timed(n, async |n| give_up(n, || sleep_until(deadline)).await).await
}

pub async fn cancel_rel(n: u64) -> f64 {
    timed(n, async |n| give_up(n, || sleep(Duration::from_secs(3600))).await).await
}

async fn give_up(n: u64, make: impl Fn() -> Sleep) {
    unconstrained(poll_fn(|cx| {
        for _ in 0..n {
            assert!(pin!(make()).poll(cx).is_pending());
        }
        Poll::Ready(())
    }))
    .await;
}
