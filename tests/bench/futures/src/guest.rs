// SPDX-License-Identifier: MIT OR Apache-2.0
//! A loop of C as a guest of a current_thread tokio: what Rust's side of it awaits.

use std::hint::black_box;

use nart_tokio::channel::{spsc, NartRx, NartTx};
use nart_tokio::{Loop, LoopOptions, Rt, TaskType};
use tokio::runtime::Builder;

use super::measure::timed;

/// Runs `work` beside a loop that it gets, on one thread.
fn with_guest<T>(work: impl AsyncFnOnce(&Loop) -> T) -> T {
    let tokio = Builder::new_current_thread().enable_all().build();
    tokio.expect("a runtime").block_on(async {
        let guest = Loop::new(LoopOptions::new()).expect("a loop");
        let all = guest.run_until(work(&guest)).await;
        all.expect("a loop that runs")
    })
}

/// Spawns C tasks, whose frame is a number and which answer it, and awaits each before the next.
///
/// # Safety
/// The type is constant.
#[no_mangle]
pub unsafe extern "C" fn bench_guest_spawn(task: &'static TaskType, n: u64) -> f64 {
    with_guest(async |guest| {
        timed(n, async |n| {
            for i in 0..n {
                // SAFETY: the frame is a number.
                let spawned = unsafe { guest.spawn(task, (&raw const i).cast()) };
                black_box(spawned.expect("a task").await.expect("a value"));
            }
        })
        .await
    })
}

/// Sends values to a C task and receives each from it before it sends the next.
///
/// # Safety
/// `spawn` spawns a task that sends what it receives, and takes over both ends.
#[no_mangle]
pub unsafe extern "C" fn bench_guest_pingpong(
    spawn: unsafe extern "C" fn(rt: *mut Rt, rx: *mut NartRx, tx: *mut NartTx),
    n: u64,
) -> f64 {
    with_guest(async |guest| {
        // SAFETY: the loop is live.
        let there = unsafe { spsc::<u64>(guest.as_c(), 1) };
        // SAFETY: as above.
        let back = unsafe { spsc::<u64>(guest.as_c(), 1) };
        let ((mut tx, echo_rx), (echo_tx, mut rx)) = (there.expect("open"), back.expect("open"));
        // SAFETY: the caller's promise; the loop is live.
        unsafe { spawn(guest.as_c(), &mut echo_rx.into_c(), &mut echo_tx.into_c()) };
        timed(n, async |n| {
            for i in 0..n {
                tx.send(i).await.expect("an open channel");
                let value = rx.recv().await.expect("an open channel");
                assert_eq!(value, Some(i));
            }
        })
        .await
    })
}
