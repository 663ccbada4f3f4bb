/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! Channels between tasks of one thread.

use std::hint::black_box;
use std::time::Duration;

use nexus_async_rt::channel::{local, mpsc, spsc};
use nexus_async_rt::{spawn_boxed, timeout};

use crate::measure::timed;

pub async fn local_pair(n: u64) -> f64 {
    let (tx, rx) = local::channel::<u64>(64);
    timed(n, async |n| {
        for i in 0..n {
            tx.try_send(i).expect("room");
            black_box(rx.try_recv().expect("a value"));
        }
    })
    .await
}

pub async fn spsc_pair(n: u64) -> f64 {
    let (tx, rx) = spsc::channel::<u64>(64);
    timed(n, async |n| {
        for i in 0..n {
            tx.try_send(i).expect("room");
            black_box(rx.try_recv().expect("a value"));
        }
    })
    .await
}

pub async fn mpsc_pair(n: u64) -> f64 {
    let (tx, rx) = mpsc::channel::<u64>(64);
    timed(n, async |n| {
        for i in 0..n {
            tx.try_send(i).expect("room");
            black_box(rx.try_recv().expect("a value"));
        }
    })
    .await
}

/// n values from a task to the one that runs this, through 64 places.
pub async fn local_stream(n: u64) -> f64 {
    timed(n, async |n| {
        let (tx, rx) = local::channel::<u64>(64);
        let producer = spawn_boxed(async move {
            for i in 0..n {
                tx.send(i).await.expect("an open channel");
            }
        });
        for _ in 0..n {
            black_box(rx.recv().await.expect("a value"));
        }
        producer.await;
    })
    .await
}

/// n values to another task and back.
pub async fn local_pingpong(n: u64) -> f64 {
    timed(n, async |n| {
        let (there, inbox) = local::channel::<u64>(1);
        let (answer, back) = local::channel::<u64>(1);
        let echo = spawn_boxed(async move {
            while let Ok(v) = inbox.recv().await {
                answer.send(v).await.expect("an open channel");
            }
        });
        for i in 0..n {
            there.send(i).await.expect("an open channel");
            black_box(back.recv().await.expect("a value"));
        }
        drop(there);
        echo.await;
    })
    .await
}

/// The same, each receive under a deadline that does not expire. A deadline given up stays in the
/// wheel, and every turn of the loop walks all that are there: the figure grows with n.
pub async fn deadline_pingpong(n: u64) -> f64 {
    const HOUR: Duration = Duration::from_secs(3600);
    timed(n, async |n| {
        let (there, inbox) = local::channel::<u64>(1);
        let (answer, back) = local::channel::<u64>(1);
        let echo = spawn_boxed(async move {
            while let Ok(v) = timeout(HOUR, inbox.recv()).await.expect("in time") {
                answer.send(v).await.expect("an open channel");
            }
        });
        for i in 0..n {
            there.send(i).await.expect("an open channel");
            black_box(timeout(HOUR, back.recv()).await.expect("in time").expect("a value"));
        }
        drop(there);
        echo.await;
    })
    .await
}
