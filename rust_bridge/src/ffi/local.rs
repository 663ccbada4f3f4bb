// SPDX-License-Identifier: MIT OR Apache-2.0
//! Local futures: Rust futures that C tasks poll themselves. The C interface of local.rs.
//!
//! Ownership: [`NartTokioLocal`] is the caller's memory and holds a box of [`Local`], which
//! [`nart_tokio_local_close`] frees. A message is borrowed from it until then.

use std::ffi::{c_char, c_void};

use super::{message, with_value};
use crate::local::Local;
use crate::panic::guard;
use crate::sys::{Cx, Poll, Res, ESTALE, EWRONGTHREAD};

/// A Rust future that the awaiting C task polls itself, inside tokio's context. Made by Rust code
/// (`Bridge::local`). A zeroed one is empty. Must be closed on the thread that made it. After the
/// begin of a shutdown its await drops the future and returns NART_ESHUTDOWN; in a handler of atexit()
/// it returns that and leaks the future, because tokio has ended on the thread.
#[repr(C)]
#[derive(Debug)]
pub struct NartTokioLocal {
    /// private
    #[doc(hidden)]
    pub local: *mut c_void,
    #[doc(hidden)]
    pub reserved: u64,
}

impl NartTokioLocal {
    pub(crate) fn of(local: Option<Box<Local>>) -> NartTokioLocal {
        let local = local.map_or(std::ptr::null_mut(), |l| Box::into_raw(l).cast());
        NartTokioLocal { local, reserved: 0 }
    }

    /// # Safety
    /// `local` is NULL or live, and not used otherwise meanwhile.
    unsafe fn get<'a>(local: *const NartTokioLocal) -> Option<&'a mut Local> {
        // SAFETY: a pointer that is not NULL is from of(), and close clears it.
        unsafe { local.as_ref()?.local.cast::<Local>().as_mut() }
    }
}

/// Awaits a local future by polling it on the calling thread. `value` may be NULL.
/// @return as nart_tokio_op_await(); NART_EWRONGTHREAD.
/// **Thread**: the one that made it, inside a poll. **Cost**: about 100 ns to enter tokio's
/// context, and the future's poll.
///
/// # Safety
/// `cx` is the running poll's; `local` is NULL or live; `value` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_local_await(
    cx: *mut Cx,
    local: *mut NartTokioLocal,
    value: *mut i64,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        unsafe {
            let poll = Poll::new(cx);
            if let Err(answer) = poll.enter() {
                return answer;
            }
            let Some(local) = NartTokioLocal::get(local) else {
                return ESTALE;
            };
            if let Err(answer) = local.check() {
                return answer;
            }
            with_value(value, |value| local.poll(poll, value))
        }
    })
}

/// The bytes of its result, as nart_tokio_op_message().
/// **Ownership**: the local future's, until it is closed.
/// **Thread**: the one that made it.
///
/// # Safety
/// `local` is NULL or live; `len` is NULL or writable.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_local_message(
    local: *const NartTokioLocal,
    len: *mut usize,
) -> *const c_char {
    // SAFETY: the caller's promises.
    unsafe { message(NartTokioLocal::get(local).and_then(|l| l.outcome()), len) }
}

/// Drops a local future inside tokio's context, and empties `*local`. Empty and NULL are allowed. A
/// panic in its drop is ignored. In a forked child, and after main() has returned, it is leaked on
/// purpose: tokio's context does not exist there.
/// @return 0; NART_EWRONGTHREAD nothing was done.
/// **Thread**: the one that made it.
///
/// # Safety
/// `local` is NULL or live.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_local_close(local: *mut NartTokioLocal) -> Res {
    guard(|| {
        // SAFETY: the caller's promises; the handle is cleared before the future is dropped.
        unsafe {
            let Some(inner) = NartTokioLocal::get(local) else {
                return 0;
            };
            if inner.check() == Err(EWRONGTHREAD) {
                return EWRONGTHREAD;
            }
            let inner = Box::from_raw(inner);
            *local = NartTokioLocal::of(None);
            drop(inner);
        }
        0
    })
}
