/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! Messages of 64 bytes, written and read in place, by the task that runs this.

use std::hint::black_box;

use nexus_async_rt::channel::{mpsc_bytes, spsc_bytes};

use crate::measure::timed;
use crate::message::{message, number_of};

pub async fn spsc(n: u64) -> f64 {
    let (mut tx, mut rx) = spsc_bytes::channel(4096);
    timed(n, async |n| {
        for i in 0..n {
            let mut room = tx.try_claim(64).expect("room");
            room.copy_from_slice(&message(i));
            room.commit();
            let got = rx.try_recv().expect("a message");
            assert_eq!((number_of(&got), got.len()), (i, 64));
            black_box(got.as_ptr());
        }
    })
    .await
}

pub async fn mpsc(n: u64) -> f64 {
    let (mut tx, mut rx) = mpsc_bytes::channel(4096);
    timed(n, async |n| {
        for i in 0..n {
            let mut room = tx.try_claim(64).expect("room");
            room.copy_from_slice(&message(i));
            room.commit();
            let got = rx.try_recv().expect("a message");
            assert_eq!((number_of(&got), got.len()), (i, 64));
            black_box(got.as_ptr());
        }
    })
    .await
}
