// SPDX-License-Identifier: MIT OR Apache-2.0
//! Tasks of C whose poll is a closure, and the functions of nart that they call.

use std::ffi::{c_int, c_void};
use std::future::poll_fn;
use std::future::Future;
use std::task::Poll;

use nart_tokio::channel::NartRx;
use nart_tokio::{Cx, Loop, NartWaker, Res, Rt, Task, TaskType};

pub const PENDING: Res = i32::MIN as Res;
pub const EABORTED: Res = -4096;
pub const NART_READ: u32 = 1;

/// `nart_timer` and `nart_fd`: zeroed = empty.
#[repr(C)]
#[derive(Default)]
pub struct Timer([u64; 2]);
#[repr(C, align(64))]
#[derive(Default)]
pub struct Fd([u64; 8]);

extern "C" {
    fn nart_rt_stats_get(rt: *const Rt, out: *mut [u64; 11]);
    pub fn nart_cx_waker(cx: *mut Cx) -> NartWaker;
    pub fn nart_op_park(cx: *mut Cx) -> Res;
    pub fn nart_sleep(cx: *mut Cx, timer: *mut Timer, ns: i64) -> Res;
    pub fn nart_fd_open(rt: *mut Rt, fd: c_int, flags: u32, out: *mut Fd) -> Res;
    pub fn nart_fd_ready(cx: *mut Cx, fd: *mut Fd, dirs: u32) -> Res;
    pub fn nart_fd_clear(fd: *mut Fd, dirs: u32);
    pub fn nart_fd_close(fd: *mut Fd) -> Res;
    pub fn nart__recv_slow(cx: *mut Cx, rx: *mut NartRx, value: *mut c_void, elem: usize) -> Res;
    pub fn nart_rx_close(rx: *mut NartRx);
}

type Body = Box<dyn FnMut(*mut Cx) -> Res>;

unsafe extern "C-unwind" fn poll(cx: *mut Cx, frame: *mut c_void) -> Res {
    // SAFETY: the frame is that of spawn().
    unsafe { (**frame.cast::<*mut Body>())(cx) }
}

unsafe extern "C-unwind" fn end(frame: *mut c_void) {
    // SAFETY: the frame is that of spawn(), and not used again.
    drop(unsafe { Box::from_raw(*frame.cast::<*mut Body>()) });
}

pub static BODY: TaskType = TaskType::of::<*mut Body>(c"body", poll, Some(end));

/// Spawns a task whose poll is `body`.
pub fn spawn(guest: &Loop, body: impl FnMut(*mut Cx) -> Res + 'static) -> Task {
    let body: *mut Body = Box::into_raw(Box::new(Box::new(body)));
    // SAFETY: the frame is a pointer, which the task frees.
    unsafe { guest.spawn(&BODY, (&raw const body).cast()) }.unwrap()
}

/// The waker of the task that is being polled.
pub fn waker(cx: *mut Cx) -> NartWaker {
    // SAFETY: called inside a poll.
    unsafe { nart_cx_waker(cx) }
}

/// Parks the task after it has stored its waker.
pub fn park(cx: *mut Cx) -> Res {
    // SAFETY: called inside a poll.
    unsafe { nart_op_park(cx) }
}

/// How often something has made the loop's descriptor readable: `nart_rt_stats.eventfd_writes`.
pub fn notifications(guest: &Loop) -> u64 {
    let mut stats = [0; 11];
    stats[0] = size_of_val(&stats) as u64;
    // SAFETY: the runtime is live; the struct is as long as it says.
    unsafe { nart_rt_stats_get(guest.as_c(), &mut stats) };
    stats[10]
}

/// A sleep that is called in each poll until it answers.
pub fn sleep(ns: i64) -> impl FnMut(*mut Cx) -> Res {
    let mut timer = Box::new(Timer::default());
    // SAFETY: called inside a poll; the timer does not move.
    move |cx| unsafe { nart_sleep(cx, &mut *timer, ns) }
}

/// Polls a future once, and drops it.
pub async fn once<F: Future>(future: F) -> Poll<F::Output> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}
