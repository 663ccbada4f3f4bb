/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! Values from another thread to the task that runs this: tokio has one kind of channel for that.

use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use crate::measure::timed;
use crate::thread::sender;

pub async fn stream(n: u64) -> f64 {
    timed(n, async |n| {
        let (tx, mut rx) = mpsc::channel::<u64>(1024);
        let thread = sender(n, move |i| match tx.try_send(i) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => false,
            Err(TrySendError::Closed(_)) => panic!("closed"),
        });
        for i in 0..n {
            assert_eq!(rx.recv().await.expect("a value"), i);
        }
        thread.join().expect("an end");
    })
    .await
}
