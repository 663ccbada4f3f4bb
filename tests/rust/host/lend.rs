// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bridge and a loop that Rust makes and functions of C use: `as_c()`.

use std::ffi::c_void;
use std::sync::Barrier;
use std::time::Duration;

use nart_tokio::{
    nart_tokio_blocking, nart_tokio_free, nart_tokio_op_await, nart_tokio_op_close,
    nart_tokio_report_get, nart_tokio_shutdown, Bridge, Loop, LoopOptions, NartTokio, NartTokioOp,
    NartTokioReport, Options, Res, Stop,
};
use tokio::runtime::Handle;

use crate::body::{spawn, PENDING};
use crate::on_each_flavour;

const LONG: Duration = Duration::from_secs(300);
const EFORK: Res = -4100;

fn report(tokio: *const NartTokio) -> Result<NartTokioReport, Res> {
    // SAFETY: all-zero is valid but for the size.
    let mut report: NartTokioReport = unsafe { std::mem::zeroed() };
    report.size = size_of::<NartTokioReport>();
    // SAFETY: the bridge is live.
    match unsafe { nart_tokio_report_get(tokio, &mut report) } {
        0 => Ok(report),
        code => Err(code),
    }
}

unsafe extern "C-unwind" fn seven(_: *mut c_void, _: *const Stop) -> Res {
    7
}

/// What a task of C does with a bridge that it got in its frame.
#[test]
fn a_task_of_c_uses_a_lent_bridge() {
    on_each_flavour(|| async {
        let bridge = Bridge::adopt(Handle::current(), &Options::default()).unwrap();
        let guest = Loop::new(LoopOptions::new()).unwrap();
        let tokio = bridge.as_c();
        let mut op = None;
        let task = spawn(&guest, move |cx| {
            let open = op.get_or_insert_with(|| {
                let mut op = NartTokioOp {
                    op: std::ptr::null_mut(),
                    reserved: 0,
                };
                let (name, arg) = (c"seven".as_ptr(), std::ptr::null_mut());
                // SAFETY: the bridge is live, the operation is not open.
                let r =
                    unsafe { nart_tokio_blocking(tokio, name, Some(seven), arg, None, &mut op) };
                assert_eq!(r, 0);
                op
            });
            let mut value = 0;
            // SAFETY: the operation is open, and this is a poll.
            let r = unsafe { nart_tokio_op_await(cx, open, &mut value) };
            if r == PENDING {
                return r;
            }
            // SAFETY: as above.
            unsafe { nart_tokio_op_close(open) };
            assert_eq!(r, 0);
            value
        });
        assert_eq!(guest.run_until(task).await, Ok(Ok(7)));
        let counts = report(tokio).unwrap();
        assert_eq!((counts.submitted, counts.ok), (1, 1));
        bridge.shutdown_async(LONG).await.unwrap();
    });
}

#[test]
fn all_clones_lend_the_same_one_until_the_last_is_dropped() {
    let bridge = Bridge::new(&Options::default()).unwrap();
    let tokio = bridge.as_c();
    let clone = bridge.clone();
    assert_eq!(clone.as_c(), tokio);
    drop(bridge);
    // SAFETY: a clone is left.
    let found = unsafe { Bridge::from_c(tokio) }.unwrap().clone();
    drop(clone);
    assert_eq!(found.as_c(), tokio);
    assert!(!found.is_closed());
    assert_eq!(report(tokio).unwrap().submitted, 0);
    found.shutdown(LONG).unwrap();
}

#[test]
fn threads_that_ask_at_the_same_time_get_the_same_one() {
    for _ in 0..100 {
        let bridge = Bridge::new(&Options::default()).unwrap();
        let barrier = Barrier::new(2);
        let ask = || {
            barrier.wait();
            bridge.as_c() as usize
        };
        std::thread::scope(|threads| {
            let other = threads.spawn(ask);
            assert_eq!(ask(), other.join().unwrap());
        });
        bridge.shutdown(LONG).unwrap();
    }
}

#[test]
fn c_shuts_down_and_does_not_free_a_lent_bridge() {
    let bridge = Bridge::new(&Options::default()).unwrap();
    let tokio = bridge.as_c();
    // SAFETY: the bridge is live.
    unsafe { nart_tokio_free(tokio) };
    assert!(!bridge.is_closed());
    assert_eq!(report(tokio).unwrap().submitted, 0);
    // SAFETY: as above.
    let answer = unsafe { nart_tokio_shutdown(tokio, i64::MAX, std::ptr::null_mut()) };
    assert_eq!(answer, 0);
    assert!(bridge.is_closed());
}

#[test]
fn a_bridge_that_c_frees_is_lent_until_then() {
    let bridge = Bridge::new(&Options::default()).unwrap();
    let clone = bridge.clone();
    let (lent, owned) = (clone.as_c(), bridge.into_c());
    assert_ne!(lent, owned);
    // SAFETY: live, and not used again.
    unsafe { nart_tokio_free(owned) };
    assert!(clone.is_closed());
    assert!(report(lent).is_ok());
}

#[test]
fn a_forked_child_gets_errors_and_drops_it() {
    let bridge = Bridge::new(&Options::default()).unwrap();
    // SAFETY: the child uses no thread and no lock of the parent.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let refused = report(bridge.as_c()).err() == Some(EFORK);
        drop(bridge);
        // SAFETY: ends the child without handlers of the parent.
        unsafe { libc::_exit(if refused { 7 } else { 8 }) };
    }
    let mut status = 0;
    // SAFETY: waits for the child above.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7);
}
