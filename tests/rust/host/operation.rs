// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations as futures of Rust code.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::Arc;
use std::time::Duration;

use nart_tokio::{nart_tokio_op_close, nart_tokio_op_try, Bridge, Operation, Options, Outcome};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::yield_now;

use crate::body::once;
use crate::{errno, on_each_flavour, one_thread};

const LONG: Duration = Duration::from_secs(300);
const EABORTED: i64 = -4096;
const EPANIC: i64 = -4098;
const ESHUTDOWN: i64 = -4099;

fn adopt() -> Bridge {
    Bridge::adopt(Handle::current(), &Options::default()).unwrap()
}

async fn error_of(operation: Operation) -> (i64, String) {
    let error = operation.await.unwrap_err();
    (error.code(), error.to_string())
}

#[test]
fn an_operation_is_awaited() {
    on_each_flavour(|| async {
        let bridge = adopt();
        for value in 0..2000 {
            let waits = async move {
                yield_now().await;
                value
            };
            assert_eq!(bridge.spawn(waits).unwrap().await, Ok(value));
        }
        let mut bytes = bridge
            .spawn(async { Outcome::value_with(-7, b"bytes".to_vec()) })
            .unwrap();
        assert_eq!((&mut bytes).await, Ok(-7));
        assert_eq!((&mut bytes).await, Ok(-7)); // it keeps its result
        assert_eq!(bytes.message(), b"bytes");
        bridge.shutdown_async(LONG).await.unwrap();
    });
}

#[test]
fn it_ends_in_each_way() {
    on_each_flavour(|| async {
        let bridge = adopt();
        let fails = async { Outcome::error(errno(libc::EPERM), "not now") };
        let failed = error_of(bridge.spawn(fails).unwrap()).await;
        assert_eq!(failed, (errno(libc::EPERM), "not now".into()));
        let panics = async {
            assert_eq!(1, 2, "in the future");
        };
        let panicked = error_of(bridge.spawn(panics).unwrap()).await;
        assert_eq!(panicked.0, EPANIC);
        assert!(panicked.1.contains("in the future"));
        let never = bridge.spawn(pending::<i64>()).unwrap();
        never.cancel();
        assert_eq!(error_of(never).await.0, EABORTED);
        let mut never = bridge.spawn(pending::<i64>()).unwrap();
        assert!(once(&mut never).await.is_pending());
        assert_eq!(format!("{never:?}"), "Operation(Running)");
        bridge.shutdown_async(LONG).await.unwrap();
        assert_eq!(error_of(never).await.0, ESHUTDOWN);
    });
}

/// The task that awaits it changes: the last waker is woken.
#[test]
fn it_is_awaited_by_one_task_after_another() {
    on_each_flavour(|| async {
        let bridge = adopt();
        for _ in 0..200 {
            let (send, receive) = oneshot::channel();
            let mut operation = bridge
                .spawn(async { receive.await.unwrap_or(-1_i64) })
                .unwrap();
            assert!(once(&mut operation).await.is_pending());
            let waits = tokio::spawn(operation);
            yield_now().await;
            send.send(5).unwrap();
            assert_eq!(waits.await.unwrap(), Ok(5));
        }
    });
}

#[test]
fn it_continues_when_it_is_detached() {
    on_each_flavour(|| async {
        let bridge = adopt();
        let (send, receive) = oneshot::channel();
        let late = async move {
            yield_now().await;
            let _ = send.send(3);
        };
        let mut operation = bridge.spawn(late).unwrap();
        let _ = once(&mut operation).await;
        operation.detach();
        assert_eq!(receive.await, Ok(3));
        let (held, dropped) = oneshot::channel::<()>();
        let never = async move {
            let _held = held;
            pending::<i64>().await
        };
        let mut operation = bridge.spawn(never).unwrap();
        assert!(once(&mut operation).await.is_pending());
        drop(operation); // cancels it
        assert!(dropped.await.is_err());
    });
}

#[test]
fn it_is_passed_to_c_after_it_was_awaited() {
    on_each_flavour(|| async {
        let bridge = adopt();
        let (send, receive) = oneshot::channel();
        let mut operation = bridge
            .spawn(async { receive.await.unwrap_or(-1_i64) })
            .unwrap();
        assert!(once(&mut operation).await.is_pending());
        let mut op = operation.into_c();
        send.send(9).unwrap();
        let mut value = 0;
        // SAFETY: the operation is open.
        while unsafe { nart_tokio_op_try(&op, &mut value) } != 0 {
            yield_now().await;
        }
        assert_eq!(value, 9);
        // SAFETY: it is open, and not used again.
        unsafe { nart_tokio_op_close(&mut op) };
    });
}

/// Results are published while the task that awaits them is about to wait.
#[test]
fn a_hundred_thousand_are_awaited_across_threads() {
    let bridge = Bridge::new(&Options::default()).unwrap();
    let sum = Arc::new(AtomicU64::new(0));
    let threads = [0, 1].map(|_| {
        let (bridge, sum) = (bridge.clone(), sum.clone());
        std::thread::spawn(move || {
            one_thread().block_on(async {
                for n in 0..50_000_i64 {
                    let value = bridge.spawn(async move { n }).unwrap().await.unwrap();
                    sum.fetch_add(value as u64, SeqCst);
                }
            });
        })
    });
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(sum.load(SeqCst), 50_000 * 49_999);
}
