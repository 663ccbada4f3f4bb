// SPDX-License-Identifier: MIT OR Apache-2.0
//! Channels of bytes (`nart/bytes.h`) between C and Rust.
//!
//! A [`BytesReceiver`] or [`BytesSender`] is one end of a channel whose other end a C task has, or
//! a thread. C opens the channel and passes an end to a function of yours, which calls
//! [`BytesReceiver::from_c`] or [`BytesSender::from_c`]; or Rust opens it with [`spsc`] or [`mpsc`]
//! and returns an end to C with `into_c`.
//!
//! Messages keep their boundaries in `recv` and `send`. As [`AsyncRead`](tokio::io::AsyncRead) and
//! [`AsyncWrite`](tokio::io::AsyncWrite) an end
//! is a stream of bytes, with backpressure: a write waits for free room.
//!
//! Dropping an end closes it. An end works without a runtime of tokio, on any executor.
//!
//! # Examples
//!
//! A function of a program, to which its C code passes a receiver:
//!
//! ```
//! use nart_tokio::byte_channel::{BytesReceiver, NartBytesRx};
//! use nart_tokio::{export, Error, NartTokio, NartTokioOp};
//!
//! /// Counts the bytes that C sends. On an error `*rx` remains the caller's.
//! #[no_mangle]
//! pub unsafe extern "C" fn my_count(
//!     rt: *mut NartTokio,
//!     rx: *mut NartBytesRx,
//!     op: *mut NartTokioOp,
//! ) -> i64 {
//!     // SAFETY: C passes an open receiver of this thread's loop.
//!     let mut rx = match unsafe { BytesReceiver::from_c(rx) } {
//!         Ok(rx) => rx,
//!         Err(error) => return error.code(),
//!     };
//!     let count = async move {
//!         let mut n = 0;
//!         while let Some(message) = rx.recv().await? {
//!             n += message.len() as i64;
//!         }
//!         Ok::<i64, Error>(n)
//!     };
//!     // SAFETY: C passes a live bridge, and an operation that is not open.
//!     unsafe { export(rt, op, || count) }
//! }
//! ```
//!
//! # Forked children
//!
//! In a child of `fork` the operations of an end of the parent return an error of code
//! `NART_EFORK`. It can be dropped.

mod rx;
mod tx;

#[cfg(test)]
mod tests;

use crate::ends::guest::closed;
use crate::error::Error;
use crate::sys::ends::{
    nart__bytes_open, nart_bytes_rx_close, nart_bytes_tx_close, BytesOpts, BYTES_ABI, BYTES_MPSC,
    BYTES_SPSC,
};
use crate::sys::Rt;

pub use crate::sys::ends::{NartBytesRx, NartBytesTx};
pub use rx::{BytesReceiver, Message};
pub use tx::BytesSender;

/// Opens a channel with one sender, for the runtime `rt`, from whose allocator its memory is.
///
/// `capacity` is the number of bytes, rounded up to a power of two; no message is longer than
/// `max_len` (0: the capacity). Pass one end to C with `into_c`.
///
/// # Errors
/// `-EINVAL` no `rt`, a capacity of 0, or a `max_len` beyond it; `-EOVERFLOW`; `-ENOMEM`;
/// `NART_EWRONGTHREAD`, `NART_EFORK`.
///
/// # Safety
/// `rt` is NULL, or a live runtime.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
/// # fn main() -> Result<(), nart_tokio::Error> {
/// # let event_loop = EventLoop::new();
/// // SAFETY: the runtime of this thread.
/// let (mut tx, mut rx) = unsafe { nart_tokio::byte_channel::spsc(event_loop.rt(), 4096, 0) }?;
/// # let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # tokio.block_on(async {
/// tx.send(b"one").await?;
/// let message = rx.recv().await?;
/// assert_eq!(&*message.unwrap(), b"one");
/// # Ok(())
/// # })
/// # }
/// ```
pub unsafe fn spsc(
    rt: *mut Rt,
    capacity: usize,
    max_len: usize,
) -> Result<(BytesSender, BytesReceiver), Error> {
    // SAFETY: the caller's promise.
    unsafe { open(rt, BYTES_SPSC, capacity, max_len) }
}

/// Opens a channel with many senders, which [`BytesSender::try_clone`] makes. Otherwise as [`spsc`].
///
/// # Errors
/// As [`spsc`].
///
/// # Safety
/// As [`spsc`].
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
/// # fn main() -> Result<(), nart_tokio::Error> {
/// # let event_loop = EventLoop::new();
/// // SAFETY: the runtime of this thread.
/// let (mut tx, rx) = unsafe { nart_tokio::byte_channel::mpsc(event_loop.rt(), 4096, 256) }?;
/// let mut other = tx.try_clone()?;
/// std::thread::spawn(move || other.try_send(b"from a thread").unwrap());
/// assert_eq!(tx.max_len(), 256);
/// # drop(rx);
/// # Ok(())
/// # }
/// ```
pub unsafe fn mpsc(
    rt: *mut Rt,
    capacity: usize,
    max_len: usize,
) -> Result<(BytesSender, BytesReceiver), Error> {
    // SAFETY: the caller's promise.
    unsafe { open(rt, BYTES_MPSC, capacity, max_len) }
}

unsafe fn open(
    rt: *mut Rt,
    kind: u32,
    capacity: usize,
    max_len: usize,
) -> Result<(BytesSender, BytesReceiver), Error> {
    let opts = BytesOpts {
        size: size_of::<BytesOpts>(),
        kind,
        flags: 0,
        capacity,
        max_len,
    };
    let (mut tx, mut rx) = (closed(), closed());
    // SAFETY: the caller's promise; a thread that may open a channel may use its ends. Dropping a
    // sender closes it; a receiver that could not be taken over is closed here.
    unsafe {
        Error::check(nart__bytes_open(rt, &opts, BYTES_ABI, &mut tx, &mut rx))?;
        let receiver = BytesReceiver::from_c(&mut rx);
        let sender = BytesSender::from_c(&mut tx);
        nart_bytes_tx_close(&mut tx);
        nart_bytes_rx_close(&mut rx);
        Ok((sender?, receiver?))
    }
}
