// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C interface: include/nart/tokio.h is generated from these files by cbindgen
//! (rust_bridge/cbindgen.toml), in this order. So their doc comments are written for readers of C.
//! Each function checks its arguments and calls one function of another module, inside
//! [`guard`](crate::panic::guard).
//!
//! One file per subject, with its types, their ownership and its functions. This one has what they
//! share.

use std::ffi::{c_char, CStr};
use std::mem::{size_of, MaybeUninit};

use crate::outcome::Outcome;
use crate::sys::{errno, Res, EABI};

// In the order of the header: an empty line keeps rustfmt from sorting.
mod bridge;

mod op;

mod blocking;

mod task;

mod local;

mod observe;

mod trace;

mod log;
mod resolve;

#[cfg(feature = "tls")]
mod tls_config;

#[cfg(feature = "tls")]
mod tls;

#[cfg(feature = "http")]
mod http;

#[cfg(feature = "http")]
mod http_client;

#[cfg(feature = "ws")]
mod ws;

pub use blocking::*;
pub use bridge::*;
#[cfg(feature = "http")]
pub use http::*;
#[cfg(feature = "http")]
pub use http_client::*;
pub use local::*;
pub use log::*;
pub use observe::*;
pub use op::*;
pub use resolve::*;
pub use task::*;
#[cfg(feature = "tls")]
pub use tls::*;
#[cfg(feature = "tls")]
pub use tls_config::*;
pub use trace::*;
#[cfg(feature = "ws")]
pub use ws::*;

/// A copy of a versioned struct: fields that its caller does not know yet are zero.
///
/// # Safety
/// `given` is NULL or points to a struct whose first field is its size in bytes. All-zero is a
/// valid `T`.
unsafe fn sized<T>(given: *const T, least: usize) -> Result<T, Res> {
    // SAFETY: the caller's promises; at most size_of::<T>() bytes are copied.
    unsafe {
        let mut copy = std::mem::zeroed::<T>();
        if given.is_null() {
            return Ok(copy);
        }
        let size = *given.cast::<usize>();
        if size < least || size > size_of::<T>() {
            return Err(EABI);
        }
        std::ptr::copy_nonoverlapping(given.cast::<u8>(), (&raw mut copy).cast::<u8>(), size);
        Ok(copy)
    }
}

/// # Safety
/// `s` is NULL or a C string that outlives the returned slice.
unsafe fn bytes(s: *const c_char, default: &[u8]) -> &[u8] {
    if s.is_null() {
        default
    } else {
        // SAFETY: the caller's promise.
        unsafe { CStr::from_ptr(s) }.to_bytes()
    }
}

/// `len` bytes; if `len` is 0, a C string.
///
/// # Safety
/// `s` is NULL and `len` 0, or it is a string of that kind that outlives the returned slice.
#[cfg(feature = "tls")]
unsafe fn bytes_of<'a>(s: *const c_char, len: usize) -> &'a [u8] {
    match len {
        // SAFETY: the caller's promise.
        0 => unsafe { bytes(s, b"") },
        // SAFETY: the caller's promise.
        len => unsafe { std::slice::from_raw_parts(s.cast(), len) },
    }
}

/// # Safety
/// `p` is NULL or points to `n` values that outlive the returned slice.
pub(crate) unsafe fn slice<'a, T>(p: *const T, n: usize) -> Result<&'a [T], Res> {
    match (p.is_null(), n) {
        (_, 0) => Ok(&[]),
        (true, _) => Err(errno(libc::EINVAL)),
        (false, n) if n > isize::MAX as usize / size_of::<T>() => Err(errno(libc::EINVAL)),
        // SAFETY: the caller's promise.
        (false, n) => Ok(unsafe { std::slice::from_raw_parts(p, n) }),
    }
}

/// # Safety
/// `p` is NULL or points to `n` values, to which nothing else refers while the returned slice is used.
unsafe fn slice_mut<'a, T>(p: *mut T, n: usize) -> Result<&'a mut [MaybeUninit<T>], Res> {
    match (p.is_null(), n) {
        (_, 0) => Ok(&mut []),
        (true, _) => Err(errno(libc::EINVAL)),
        (false, n) if n > isize::MAX as usize / size_of::<T>() => Err(errno(libc::EINVAL)),
        // SAFETY: the caller's promise.
        (false, n) => Ok(unsafe { std::slice::from_raw_parts_mut(p.cast(), n) }),
    }
}

/// Writes a text, terminated by a NUL, as far as it fits.
///
/// # Safety
/// `error` is NULL or has `len` bytes.
#[cfg(feature = "tls")]
unsafe fn write_error(error: *mut c_char, len: usize, text: &str) {
    if error.is_null() || len == 0 {
        return;
    }
    let n = text.len().min(len - 1);
    // SAFETY: the caller's promise.
    unsafe {
        std::ptr::copy_nonoverlapping(text.as_ptr(), error.cast(), n);
        *error.add(n) = 0;
    }
}

/// Passes a value to `then`, and converts the result to a Res.
fn res<T>(result: Result<T, Res>, then: impl FnOnce(T)) -> Res {
    match result {
        Ok(value) => {
            then(value);
            0
        }
        Err(answer) => answer,
    }
}

/// Runs `f`, and stores its value if it returns 0.
///
/// # Safety
/// `value` is NULL or writable.
unsafe fn with_value(value: *mut i64, f: impl FnOnce(&mut i64) -> Res) -> Res {
    let mut got = 0;
    let answer = f(&mut got);
    if answer == 0 && !value.is_null() {
        // SAFETY: the caller's promise.
        unsafe { *value = got }
    }
    answer
}

/// # Safety
/// `len` is NULL or writable.
unsafe fn message(outcome: Option<&Outcome>, len: *mut usize) -> *const c_char {
    let (bytes, n) = outcome.map_or((&b"\0"[..], 0), Outcome::message);
    // SAFETY: the caller's promise.
    if let Some(len) = unsafe { len.as_mut() } {
        *len = n;
    }
    bytes.as_ptr().cast()
}
