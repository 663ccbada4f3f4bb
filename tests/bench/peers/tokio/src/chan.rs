/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! Channels between tasks of one thread. tokio has no channel for one thread only: its mpsc is what
//! its users take.

use std::hint::black_box;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::measure::timed;
use crate::message::{message, number_of};

pub async fn pair(n: u64) -> f64 {
    let (tx, mut rx) = mpsc::channel::<u64>(64);
    timed(n, async |n| {
        for i in 0..n {
            tx.try_send(i).expect("room");
            black_box(rx.try_recv().expect("a value"));
        }
    })
    .await
}

/// Messages of 64 bytes, copied in and out.
pub async fn message_pair(n: u64) -> f64 {
    let (tx, mut rx) = mpsc::channel::<[u8; 64]>(64);
    timed(n, async |n| {
        for i in 0..n {
            tx.try_send(message(i)).expect("room");
            let got = rx.try_recv().expect("a message");
            assert_eq!(number_of(&got), i);
            black_box(got.as_ptr());
        }
    })
    .await
}

/// n values from a task to the one that runs this, through 64 places.
pub async fn stream(n: u64) -> f64 {
    timed(n, async |n| {
        let (tx, mut rx) = mpsc::channel::<u64>(64);
        let producer = spawn_local(async move {
            for i in 0..n {
                tx.send(i).await.expect("an open channel");
            }
        });
        for _ in 0..n {
            black_box(rx.recv().await.expect("a value"));
        }
        producer.await.expect("an end");
    })
    .await
}

/// n values to another task and back.
pub async fn pingpong(n: u64) -> f64 {
    timed(n, async |n| {
        let (there, mut inbox) = mpsc::channel::<u64>(1);
        let (answer, mut back) = mpsc::channel::<u64>(1);
        let echo = spawn_local(async move {
            while let Some(v) = inbox.recv().await {
                answer.send(v).await.expect("an open channel");
            }
        });
        for i in 0..n {
            there.send(i).await.expect("an open channel");
            black_box(back.recv().await.expect("a value"));
        }
        drop(there);
        echo.await.expect("an end");
    })
    .await
}

/// The same, each receive under a deadline that does not expire.
pub async fn deadline_pingpong(n: u64) -> f64 {
    const HOUR: Duration = Duration::from_secs(3600);
    timed(n, async |n| {
        let (there, mut inbox) = mpsc::channel::<u64>(1);
        let (answer, mut back) = mpsc::channel::<u64>(1);
        let echo = spawn_local(async move {
            while let Some(v) = timeout(HOUR, inbox.recv()).await.expect("in time") {
                answer.send(v).await.expect("an open channel");
            }
        });
        for i in 0..n {
            there.send(i).await.expect("an open channel");
            black_box(timeout(HOUR, back.recv()).await.expect("in time").expect("a value"));
        }
        drop(there);
        echo.await.expect("an end");
    })
    .await
}
