// SPDX-License-Identifier: MIT OR Apache-2.0
//! Functions of Rust for C: [`export()`], and the macro [`export!`](crate::export!), which makes them of
//! async functions.
//!
//! The macro leaves the function that it is given as it is. Beside it, it makes one for C, which copies the
//! arguments and submits a future, and a line with its declaration (text.rs), from the same types.

use std::ffi::{c_char, CStr, CString};
use std::future::Future;

use crate::bridge::Bridge;
use crate::ffi::{NartTokio, NartTokioOp};
use crate::outcome::Outcome;
use crate::sys::{errno, Res, ESHUTDOWN};

mod macros;
#[cfg(test)]
mod tests;
pub mod text;

use text::Piece;

/// Submits a future: the body of a function that C calls. Most are shorter and safe with the macro
/// [`export!`](crate::export!).
///
/// `make` runs on the calling thread. It returns 0 and `*op`; the errors of [`Bridge::spawn`];
/// `-EINVAL` if a pointer is NULL; `NART_EPANIC` if `make` panics.
///
/// # Safety
/// `rt` is NULL or live; `op` is NULL or writable, and holds no open operation.
///
/// # Examples
///
/// ```no_run
/// use nart_tokio::{export, NartTokio, NartTokioOp};
///
/// /// Ends with `ms` after that many milliseconds.
/// #[no_mangle]
/// pub unsafe extern "C" fn my_pause(rt: *mut NartTokio, ms: u64, op: *mut NartTokioOp) -> i64 {
///     let future = async move {
///         tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
///         ms as i64
///     };
///     // SAFETY: C passes a live bridge, and an operation that is not open.
///     unsafe { export(rt, op, || future) }
/// }
/// ```
pub unsafe fn export<F>(rt: *const NartTokio, op: *mut NartTokioOp, make: impl FnOnce() -> F) -> Res
where
    F: Future + Send + 'static,
    F::Output: Into<Outcome>,
{
    // SAFETY: the caller's promises.
    unsafe { start(rt, op, |_| Ok(make())) }
}

/// The body of an exported function. `make` gets a bridge for the future to keep.
///
/// # Safety
/// As for [`export()`].
pub unsafe fn start<F>(
    rt: *const NartTokio,
    op: *mut NartTokioOp,
    make: impl FnOnce(Bridge) -> Result<F, Res>,
) -> Res
where
    F: Future + Send + 'static,
    F::Output: Into<Outcome>,
{
    crate::panic::guard(|| {
        // SAFETY: the caller's promises.
        let (Some(bridge), Some(op)) = (unsafe { (Bridge::from_c(rt), op.as_mut()) }) else {
            return errno(libc::EINVAL);
        };
        *op = NartTokioOp::of(None);
        if bridge.is_closed() {
            return ESHUTDOWN;
        }
        let future = match make(bridge.inner()) {
            Ok(future) => future,
            Err(code) => return code,
        };
        match bridge.spawn(future) {
            Ok(operation) => {
                *op = operation.into_c();
                0
            }
            Err(refused) => refused.code,
        }
    })
}

/// A copy of a string of C.
///
/// # Errors
/// `-EINVAL` it is NULL.
///
/// # Safety
/// `s` is NULL or a C string.
pub unsafe fn c_string(s: *const c_char) -> Result<CString, Res> {
    if s.is_null() {
        return Err(errno(libc::EINVAL));
    }
    // SAFETY: the caller's promise.
    Ok(unsafe { CStr::from_ptr(s) }.to_owned())
}

/// A copy of a string of C, which is UTF-8.
///
/// # Errors
/// `-EINVAL` it is NULL; `-EILSEQ` it is not UTF-8.
///
/// # Safety
/// `s` is NULL or a C string.
pub unsafe fn string(s: *const c_char) -> Result<String, Res> {
    // SAFETY: the caller's promise.
    let bytes = unsafe { c_string(s) }?.into_bytes();
    String::from_utf8(bytes).map_err(|_| errno(libc::EILSEQ))
}

/// The same; None if it is NULL.
///
/// # Errors
/// `-EILSEQ` it is not UTF-8.
///
/// # Safety
/// `s` is NULL or a C string.
pub unsafe fn optional_string(s: *const c_char) -> Result<Option<String>, Res> {
    match s.is_null() {
        true => Ok(None),
        // SAFETY: the caller's promise.
        false => unsafe { string(s) }.map(Some),
    }
}

/// A copy of `len` bytes.
///
/// # Errors
/// `-EINVAL` it is NULL, and `len` is not 0.
///
/// # Safety
/// `data` is NULL or points to `len` bytes.
pub unsafe fn byte_string(data: *const u8, len: usize) -> Result<Vec<u8>, Res> {
    // SAFETY: the caller's promise.
    unsafe { crate::ffi::slice(data, len) }.map(<[u8]>::to_vec)
}

/// A field of a struct that [`export!`](crate::export!) makes: a number, a `bool`, an array of these, or
/// such a struct.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type that a field of a struct for C can have",
    note = "use a number, bool, an array of these, or a struct of export!"
)]
pub trait Field: Copy + Send + 'static {
    /// Its type in C, and what follows the name: `[8]`.
    #[doc(hidden)]
    const C: (&'static [Piece], &'static [Piece]);

    /// 0: no struct; 1: a struct without structs in it; and so on. C needs structs in this order.
    #[doc(hidden)]
    const DEPTH: usize = 0;

    /// Writes it into `to`, which has its size and is zeroed: nothing else gets into padding.
    #[doc(hidden)]
    fn write(&self, to: &mut [u8]);
}

/// An argument that C passes by value: a number, a `bool`, or a struct of [`export!`](crate::export!).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type that an argument of an exported function can have",
    note = "use one of these, written as here: &str, Option<&str>, &CStr, &[u8], a number, bool, a struct of export!"
)]
pub trait Value: Field {}

macro_rules! values {
    ($($rust:ty => $c:literal),+ $(,)?) => {$(
        impl Field for $rust {
            const C: (&'static [Piece], &'static [Piece]) = (&[Piece::Text($c)], &[]);

            fn write(&self, to: &mut [u8]) {
                to.copy_from_slice(&self.to_ne_bytes());
            }
        }

        impl Value for $rust {}
    )+};
}

values! {
    i8 => "int8_t", i16 => "int16_t", i32 => "int32_t", i64 => "int64_t",
    u8 => "uint8_t", u16 => "uint16_t", u32 => "uint32_t", u64 => "uint64_t",
    usize => "size_t", f32 => "float", f64 => "double",
}

impl Field for bool {
    const C: (&'static [Piece], &'static [Piece]) = (&[Piece::Text("bool")], &[]);

    fn write(&self, to: &mut [u8]) {
        to[0] = u8::from(*self);
    }
}

impl Value for bool {}

impl<T: Field, const N: usize> Field for [T; N] {
    const C: (&'static [Piece], &'static [Piece]) = (
        T::C.0,
        &[
            Piece::Text("["),
            Piece::Number(N, 1),
            Piece::Text("]"),
            Piece::Pieces(T::C.1),
        ],
    );
    const DEPTH: usize = T::DEPTH;

    fn write(&self, to: &mut [u8]) {
        let size = std::mem::size_of::<T>().max(1);
        self.iter()
            .zip(to.chunks_exact_mut(size))
            .for_each(|(item, to)| item.write(to));
    }
}

/// The type of an argument in C.
pub const fn c_type<T: Value>() -> &'static [Piece] {
    T::C.0
}

/// The depth of a struct, from those of its fields.
pub const fn depth(fields: &[usize]) -> usize {
    let (mut deepest, mut i) = (0, 0);
    while i < fields.len() {
        if fields[i] > deepest {
            deepest = fields[i];
        }
        i += 1;
    }
    deepest + 1
}

/// The outcome of an operation that answers a struct.
pub fn struct_outcome<T: Field>(value: &T) -> Outcome {
    let mut bytes = vec![0; std::mem::size_of::<T>()];
    value.write(&mut bytes);
    Outcome::value_with(0, bytes)
}

/// What a function exported with [`export!`](crate::export!) may answer: `()`, an `i64`, a [`String`], a
/// `Vec<u8>`, a struct of `export!`, an [`Outcome`], or a [`Result`] of these whose error is a
/// [`Failure`](crate::Failure), an [`Error`](crate::Error) or an [`io::Error`](std::io::Error).
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a type that an exported function can answer",
    note = "use (), i64, String, Vec<u8>, a struct of export!, or a Result of these with nart_tokio::Failure"
)]
pub trait Answer: Into<Outcome> {
    /// Where C finds it, as the last line of the function's comment.
    #[doc(hidden)]
    const ABOUT: &'static str;

    /// The name of the struct that it is, if any.
    #[doc(hidden)]
    const STRUCT: &'static [Piece] = &[];
}

impl Answer for () {
    const ABOUT: &'static str = "";
}

impl Answer for Outcome {
    const ABOUT: &'static str = "";
}

impl Answer for i64 {
    const ABOUT: &'static str = "The operation's value is the answer.";
}

impl Answer for String {
    const ABOUT: &'static str = <Vec<u8>>::ABOUT;
}

impl Answer for Vec<u8> {
    const ABOUT: &'static str = "The operation's message is the answer.";
}

impl<T: Answer, E> Answer for Result<T, E>
where
    Result<T, E>: Into<Outcome>,
{
    const ABOUT: &'static str = T::ABOUT;
    const STRUCT: &'static [Piece] = T::STRUCT;
}
