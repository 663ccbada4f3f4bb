// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bridge on the program's own runtime: what it refuses, and how its work ends.

use std::ffi::c_void;
use std::future::{pending, poll_fn, Future};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use nart_tokio::{
    nart_tokio_blocking, nart_tokio_op_close, nart_tokio_op_try, Bridge, NartTokioOp, Operation,
    Options, Res, Stop,
};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use crate::{errno, on_each_flavour, one_thread, two_workers};

const LONG: Duration = Duration::from_secs(300);
const ESHUTDOWN: Res = -4099;
const PENDING: Res = i32::MIN as Res;

fn adopt() -> Bridge {
    Bridge::adopt(Handle::current(), &Options::default()).unwrap()
}

/// A future that ends with its bridge only, and a receiver that ends when it is dropped.
fn never(bridge: &Bridge) -> (Operation, oneshot::Receiver<()>) {
    let (dropped, receiver) = oneshot::channel();
    let ticks = async move {
        let _dropped: oneshot::Sender<()> = dropped;
        loop {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        #[allow(unreachable_code)]
        0
    };
    (bridge.spawn(ticks).unwrap(), receiver)
}

fn answer(op: &NartTokioOp) -> Res {
    // SAFETY: the operation is open.
    unsafe { nart_tokio_op_try(op, &mut 0) }
}

fn close(mut op: NartTokioOp) {
    // SAFETY: the operation is open, and not used again.
    unsafe { nart_tokio_op_close(&mut op) };
}

#[test]
fn a_shutdown_in_async_code_ends_the_futures() {
    on_each_flavour(|| async {
        let bridge = adopt();
        let ((operation, dropped), (cancelled, gone)) = (never(&bridge), never(&bridge));
        let op = operation.into_c();
        drop(cancelled);
        assert_eq!(bridge.shutdown_async(LONG).await, Ok(()));
        assert!(dropped.await.is_err() && gone.await.is_err());
        assert_eq!(answer(&op), ESHUTDOWN);
        close(op);
        let again = bridge.shutdown_async(LONG).await.unwrap_err();
        assert_eq!(again.code(), errno(libc::EALREADY));
        assert_eq!(tokio::spawn(async { 7 }).await.unwrap(), 7); // the runtime continues
    });
}

#[test]
fn a_bridge_with_threads_of_its_own_is_shut_down_in_async_code() {
    on_each_flavour(|| async {
        let bridge = Bridge::new(&Options::default()).unwrap();
        let (operation, dropped) = never(&bridge);
        assert_eq!(bridge.shutdown_async(LONG).await, Ok(()));
        assert!(dropped.await.is_err());
        drop(operation);
    });
}

#[test]
fn a_shutdown_continues_when_its_future_is_dropped() {
    on_each_flavour(|| async {
        let bridge = adopt();
        let (operation, dropped) = never(&bridge);
        let op = operation.into_c();
        {
            let mut shutdown = pin!(bridge.shutdown_async(LONG));
            let begun = poll_fn(|cx| Poll::Ready(shutdown.as_mut().poll(cx))).await;
            assert!(begun.is_pending() || begun == Poll::Ready(Ok(())));
        }
        assert!(bridge.is_closed());
        assert!(dropped.await.is_err());
        while answer(&op) == PENDING {
            tokio::task::yield_now().await;
        }
        assert_eq!(answer(&op), ESHUTDOWN);
        close(op);
    });
}

#[test]
fn dropping_the_last_clone_in_async_code_ends_the_futures() {
    on_each_flavour(|| async {
        let bridge = adopt();
        let (operation, dropped) = never(&bridge);
        let op = operation.into_c();
        tokio::time::sleep(Duration::from_millis(2)).await; // it has been polled
        drop(bridge.clone());
        let (second, dropped_too) = never(&bridge); // it has not
        drop(bridge);
        assert!(dropped.await.is_err() && dropped_too.await.is_err());
        while answer(&op) == PENDING {
            tokio::task::yield_now().await;
        }
        assert_eq!(answer(&op), ESHUTDOWN);
        close(op);
        drop(second);
    });
}

#[test]
fn futures_that_spawn_do_not_outlive_the_bridge() {
    on_each_flavour(|| async {
        let bridge = adopt();
        let (dropped, receiver) = oneshot::channel();
        let inner = bridge.clone();
        let spawns = async move {
            let _dropped: oneshot::Sender<()> = dropped;
            while let Ok(operation) = inner.spawn(async { 1 }) {
                drop(operation);
                tokio::task::yield_now().await;
            }
            pending::<i64>().await
        };
        let operation = bridge.spawn(spawns).unwrap();
        assert_eq!(bridge.shutdown_async(LONG).await, Ok(()));
        assert!(receiver.await.is_err());
        drop(operation);
    });
}

/// A future that does not return from its poll is leaked at the deadline, and its operation ends.
#[test]
fn a_stuck_future_is_reported() {
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let runtime = two_workers();
    runtime.block_on(async {
        let bridge = adopt();
        let (begun, begins) = oneshot::channel();
        let stuck = async move {
            begun.send(()).unwrap();
            i64::from(gate.recv().is_err())
        };
        let op = bridge.spawn(stuck).unwrap().into_c();
        begins.await.unwrap();
        let error = bridge
            .shutdown_async(Duration::from_millis(20))
            .await
            .unwrap_err();
        assert_eq!(error.code(), errno(libc::ETIMEDOUT));
        assert!(error.to_string().contains("1 operations"), "{error}");
        assert_eq!(answer(&op), ESHUTDOWN);
        drop(open);
        close(op);
    });
}

static RELEASED: AtomicBool = AtomicBool::new(false);

unsafe extern "C-unwind" fn stuck(begun: *mut c_void, _: *const Stop) -> Res {
    // SAFETY: the test's flag is static.
    unsafe { &*begun.cast::<AtomicBool>() }.store(true, SeqCst);
    while !RELEASED.load(SeqCst) {
        std::thread::yield_now();
    }
    0
}

#[test]
fn a_stuck_blocking_function_is_reported_by_name() {
    static BEGUN: AtomicBool = AtomicBool::new(false);
    one_thread().block_on(async {
        let bridge = adopt();
        let c = bridge.as_c();
        let mut op = NartTokioOp {
            op: std::ptr::null_mut(),
            reserved: 0,
        };
        let begun = (&raw const BEGUN).cast_mut().cast();
        // SAFETY: the bridge is live, the flag static, the operation not open.
        let r =
            unsafe { nart_tokio_blocking(c, c"fsync".as_ptr(), Some(stuck), begun, None, &mut op) };
        assert_eq!(r, 0);
        while !BEGUN.load(SeqCst) {
            tokio::task::yield_now().await;
        }
        let error = bridge
            .shutdown_async(Duration::from_millis(20))
            .await
            .unwrap_err();
        assert_eq!(error.code(), errno(libc::ETIMEDOUT));
        assert!(error.to_string().ends_with(": fsync"), "{error}");
        assert_eq!(answer(&op), ESHUTDOWN);
        close(op);
        RELEASED.store(true, SeqCst);
    });
}

/// Nobody drives the runtime: operations end at the deadline, and futures with the runtime.
#[test]
fn a_runtime_that_nobody_drives() {
    let idle = one_thread();
    let bridge = Bridge::adopt(idle.handle().clone(), &Options::default()).unwrap();
    let (operation, mut dropped) = never(&bridge);
    let op = operation.into_c();
    let shutdown = bridge.shutdown_async(Duration::from_millis(20));
    let error = one_thread().block_on(shutdown).unwrap_err();
    assert_eq!(error.code(), errno(libc::ETIMEDOUT));
    assert_eq!(answer(&op), ESHUTDOWN);
    close(op);
    assert_eq!(dropped.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    drop(idle);
    assert_eq!(
        dropped.try_recv(),
        Err(oneshot::error::TryRecvError::Closed)
    );
}

#[test]
fn a_runtime_without_timers_or_io_is_refused() {
    let refusal = |builder: &mut Builder| {
        let runtime = builder.build().unwrap();
        Bridge::adopt(runtime.handle().clone(), &Options::default()).unwrap_err()
    };
    for multi in [false, true] {
        let builder = || match multi {
            true => Builder::new_multi_thread(),
            false => Builder::new_current_thread(),
        };
        let (neither, no_time) = (refusal(&mut builder()), refusal(builder().enable_io()));
        for error in [neither, no_time] {
            assert_eq!(error.code(), errno(libc::EOPNOTSUPP));
            assert!(error.to_string().contains("no timers: call enable_time()"));
        }
        let error = refusal(builder().enable_time());
        assert_eq!(error.code(), errno(libc::EOPNOTSUPP));
        assert!(error.to_string().contains("no I/O: call enable_io()"));
    }
}

#[test]
fn a_runtime_that_has_ended_is_refused() {
    let runtime = one_thread();
    let handle = runtime.handle().clone();
    drop(runtime);
    let error = Bridge::adopt(handle, &Options::default()).unwrap_err();
    assert_eq!(error.code(), ESHUTDOWN);
}

#[test]
fn options_out_of_range_are_refused() {
    let runtime = one_thread();
    let options = Options::new().queue_cap(0);
    let error = Bridge::adopt(runtime.handle().clone(), &options).unwrap_err();
    assert_eq!(error.code(), errno(libc::EINVAL));
}

/// Submissions of other threads and the end of the bridge: each operation ends, each future drops.
#[test]
fn submissions_race_with_the_last_drop() {
    let runtime = two_workers();
    for _ in 0..200 {
        let alive = Arc::new(());
        let bridge = {
            let _entered = runtime.enter();
            adopt()
        };
        let submit = || {
            let (bridge, alive) = (bridge.clone(), alive.clone());
            std::thread::spawn(move || {
                let mut ops = Vec::new();
                for _ in 0..20 {
                    let alive = alive.clone();
                    let never = async move {
                        let _alive = alive;
                        pending::<i64>().await
                    };
                    ops.extend(bridge.spawn(never));
                }
                drop(bridge);
                ops
            })
        };
        let threads = [submit(), submit()];
        drop(bridge);
        for operation in threads.into_iter().flat_map(|t| t.join().unwrap()) {
            let op = operation.into_c();
            while answer(&op) == PENDING {
                std::thread::yield_now();
            }
            assert_eq!(answer(&op), ESHUTDOWN);
            close(op);
        }
        while Arc::strong_count(&alive) > 1 {
            std::thread::yield_now(); // futures are dropped before their operations end
        }
    }
}
