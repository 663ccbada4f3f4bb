// SPDX-License-Identifier: MIT OR Apache-2.0
//! Local futures that hold objects of tokio. futures.h describes each.

use std::ffi::c_void;
use std::future::{poll_fn, Future};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nart_tokio::{NartTokio, NartTokioLocal, Res};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, Notify, Semaphore};

use crate::local;

/// What two tasks wait for: a notification, or a permit.
struct Queue {
    notify: Notify,
    permits: Semaphore,
}

#[no_mangle]
pub extern "C" fn test_queue_new() -> *mut c_void {
    let queue = Queue {
        notify: Notify::new(),
        permits: Semaphore::new(0),
    };
    Arc::into_raw(Arc::new(queue)).cast_mut().cast()
}

#[no_mangle]
pub unsafe extern "C" fn test_queue_free(queue: *mut c_void) {
    // SAFETY: from test_queue_new(), and not used again.
    drop(unsafe { Arc::from_raw(queue.cast::<Queue>()) });
}

/// Waits in the queue and leaves it, which takes its lock twice.
#[no_mangle]
pub unsafe extern "C" fn test_queue_pass(queue: *mut c_void) {
    // SAFETY: from test_queue_new().
    let queue = unsafe { &*queue.cast::<Queue>() };
    let mut cx = Context::from_waker(Waker::noop());
    assert!(pin!(queue.notify.notified()).poll(&mut cx).is_pending());
    assert!(pin!(queue.permits.acquire()).poll(&mut cx).is_pending());
}

/// Lets the one that waits for this continue.
#[no_mangle]
pub unsafe extern "C" fn test_queue_release(queue: *mut c_void, permit: bool) {
    // SAFETY: from test_queue_new().
    let queue = unsafe { &*queue.cast::<Queue>() };
    match permit {
        true => queue.permits.add_permits(1),
        false => queue.notify.notify_waiters(),
    }
}

#[no_mangle]
pub unsafe extern "C" fn test_local_queue(
    rt: *mut NartTokio,
    queue: *mut c_void,
    permit: bool,
    out: *mut NartTokioLocal,
) -> Res {
    // SAFETY: from test_queue_new(), which has a reference of its own.
    let queue = unsafe {
        Arc::increment_strong_count(queue.cast::<Queue>());
        Arc::from_raw(queue.cast::<Queue>())
    };
    let wait = async move {
        if permit {
            let _permit = queue.permits.acquire().await;
        } else {
            queue.notify.notified().await;
        }
        1_i64
    };
    // SAFETY: the test's promises.
    unsafe { local(rt, out, wait) }
}

/// Receives `n` values, all of which are in the channel.
#[no_mangle]
pub unsafe extern "C" fn test_local_ready(
    rt: *mut NartTokio,
    n: u64,
    out: *mut NartTokioLocal,
) -> Res {
    let (send, mut receive) = mpsc::unbounded_channel();
    for i in 0..n {
        let _ = send.send(i);
    }
    let all = async move {
        let mut got = 0;
        while got < n && receive.recv().await == Some(got) {
            got += 1;
        }
        got as i64
    };
    // SAFETY: the test's promises.
    unsafe { local(rt, out, all) }
}

/// Waits for a timer, a socket that is connected to this port, and the handle of a task, which ends when
/// `*go` is set. `*state` is 1 when it waits for all of them, and 2 when the task has ended.
#[no_mangle]
pub unsafe extern "C" fn test_local_objects(
    rt: *mut NartTokio,
    port: u16,
    go: *const AtomicU64,
    state: *const AtomicU64,
    out: *mut NartTokioLocal,
) -> Res {
    // SAFETY: the test's words are static.
    let (go, state) = unsafe { (&*go, &*state) };
    let objects = async move {
        let task = tokio::spawn(async move {
            while go.load(SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            state.store(2, SeqCst);
        });
        let Ok(stream) = TcpStream::connect(("127.0.0.1", port)).await else {
            return -1;
        };
        let mut sleep = pin!(tokio::time::sleep(Duration::from_secs(3600)));
        let (mut readable, mut task) = (pin!(stream.readable()), pin!(task));
        poll_fn(|cx| {
            let ended = sleep.as_mut().poll(cx).is_ready()
                || readable.as_mut().poll(cx).is_ready()
                || task.as_mut().poll(cx).is_ready();
            state.fetch_max(1, SeqCst);
            match ended {
                true => Poll::Ready(0_i64),
                false => Poll::Pending,
            }
        })
        .await
    };
    // SAFETY: the test's promises.
    unsafe { local(rt, out, objects) }
}
