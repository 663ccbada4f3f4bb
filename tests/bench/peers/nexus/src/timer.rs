/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! A sleep made, polled once and given up. Dropping it leaves its entry in the wheel; all of a
//! section runs in one poll, so the loop's walk over those entries is not in the figure.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use nexus_async_rt::{Sleep, sleep, sleep_until};

use crate::measure::timed;

pub async fn cancel_until(n: u64) -> f64 {
    let deadline = Instant::now() + Duration::from_secs(3600);
    timed(n, async |n| give_up(n, || sleep_until(deadline)).await).await
}

pub async fn cancel_rel(n: u64) -> f64 {
    timed(n, async |n| give_up(n, || sleep(Duration::from_secs(3600))).await).await
}

async fn give_up(n: u64, make: impl Fn() -> Sleep) {
    poll_fn(|cx| {
        for _ in 0..n {
            assert!(pin!(make()).poll(cx).is_pending());
        }
        Poll::Ready(())
    })
    .await;
}
