// SPDX-License-Identifier: MIT OR Apache-2.0
//! Channels of values (`nart/chan.h`) between C and Rust.
//!
//! A [`Sender`] or [`Receiver`] is one end of an SPSC or MPSC channel whose other end a C task has,
//! or a thread. C opens the channel and passes an end to a function of yours, which calls
//! [`Receiver::from_c`] or [`Sender::from_c`]; or Rust opens it with [`spsc`] or [`mpsc`] and
//! returns an end to C with `into_c`.
//!
//! A value is copied: `T` is a plain type, with the layout that C gives it. If it contains handles
//! or pointers, they pass to the receiver.
//!
//! Dropping an end closes it. An end works without a runtime of tokio, on any executor.
//!
//! A watch or a broadcast (`nart/broadcast.h`) cannot cross: it is plain memory of one loop. Use
//! one of tokio's, which a C task awaits as a [local future](crate::Bridge::local).
//!
//! # Examples
//!
//! A function of a program, to which its C code passes a receiver:
//!
//! ```
//! use nart_tokio::channel::{NartRx, Receiver};
//! use nart_tokio::{export, Error, NartTokio, NartTokioOp};
//!
//! /// `struct trade` of the C code.
//! #[repr(C)]
//! #[derive(Clone, Copy)]
//! struct Trade {
//!     price: i64,
//!     amount: i64,
//! }
//!
//! /// Sums up the trades that C sends. On an error `*rx` remains the caller's.
//! #[no_mangle]
//! pub unsafe extern "C" fn my_sum(rt: *mut NartTokio, rx: *mut NartRx, op: *mut NartTokioOp) -> i64 {
//!     // SAFETY: C passes an open receiver of trades, of this thread's loop.
//!     let mut rx = match unsafe { Receiver::<Trade>::from_c(rx) } {
//!         Ok(rx) => rx,
//!         Err(error) => return error.code(),
//!     };
//!     let sum = async move {
//!         let mut sum = 0;
//!         while let Some(trade) = rx.recv().await? {
//!             sum += trade.price * trade.amount;
//!         }
//!         Ok::<i64, Error>(sum)
//!     };
//!     // SAFETY: C passes a live bridge, and an operation that is not open.
//!     unsafe { export(rt, op, || sum) }
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
    nart__chan_open, nart_rx_close, nart_tx_close, ChanOpts, CHAN_MPSC, CHAN_SPSC, RING_ABI,
};
use crate::sys::Rt;

pub use crate::sys::ends::{NartRx, NartTx};
pub use rx::Receiver;
pub use tx::Sender;

/// Opens a channel with one sender, for the runtime `rt`, from whose allocator its memory is.
///
/// `capacity` is the number of values, rounded up to a power of two. Pass one end to C with
/// `into_c`.
///
/// Both ends are bound to no runtime, not even to `rt`: each may be used by any one thread, inside or
/// outside of a runtime, and waits where it is used. A receiver that is passed to C is unbound, too. Tasks
/// of C can await it as it is; it costs less after `nart_rx_bind()`.
///
/// # Errors
/// `-EINVAL` no `rt`, a capacity of 0, or a `T` of size 0; `-EOVERFLOW` a `T` above 64 KiB, or a
/// capacity above 2^30; `-ENOMEM`; `NART_EWRONGTHREAD`, `NART_EFORK`.
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
/// let (mut tx, mut rx) = unsafe { nart_tokio::channel::spsc(event_loop.rt(), 16) }?;
/// # let tokio = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// # tokio.block_on(async {
/// tx.send(7_u64).await?;
/// assert_eq!(rx.recv().await?, Some(7));
/// # Ok(())
/// # })
/// # }
/// ```
pub unsafe fn spsc<T: Copy + Send>(
    rt: *mut Rt,
    capacity: usize,
) -> Result<(Sender<T>, Receiver<T>), Error> {
    // SAFETY: the caller's promise.
    unsafe { open(rt, CHAN_SPSC, capacity) }
}

/// Opens a channel with many senders, which [`Sender::try_clone`] makes. Otherwise as [`spsc`].
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
/// let (tx, mut rx) = unsafe { nart_tokio::channel::mpsc::<u32>(event_loop.rt(), 16) }?;
/// let mut other = tx.try_clone()?;
/// std::thread::spawn(move || other.send_blocking(1, None).unwrap());
/// assert_eq!(rx.recv_blocking(None)?, Some(1));
/// # Ok(())
/// # }
/// ```
pub unsafe fn mpsc<T: Copy + Send>(
    rt: *mut Rt,
    capacity: usize,
) -> Result<(Sender<T>, Receiver<T>), Error> {
    // SAFETY: the caller's promise.
    unsafe { open(rt, CHAN_MPSC, capacity) }
}

unsafe fn open<T: Copy + Send>(
    rt: *mut Rt,
    kind: u32,
    capacity: usize,
) -> Result<(Sender<T>, Receiver<T>), Error> {
    let opts = ChanOpts {
        size: size_of::<ChanOpts>(),
        kind,
        flags: 0,
        elem: size_of::<T>(),
        capacity,
        drop_value: None,
    };
    let (mut tx, mut rx) = (closed(), closed());
    // SAFETY: the caller's promise; a thread that may open a channel may use its ends. An end that
    // could not be taken over is closed here.
    unsafe {
        Error::check(nart__chan_open(rt, &opts, RING_ABI, &mut tx, &mut rx))?;
        let receiver = Receiver::from_c(&mut rx);
        let sender = Sender::from_c(&mut tx);
        nart_tx_close(&mut tx);
        nart_rx_close(&mut rx);
        Ok((sender?, receiver?))
    }
}

/// What the type word of an end says (detail/chan.h).
struct Kind(u64);

impl Kind {
    fn is_of<T>(&self) -> bool {
        self.0 >> 8 == size_of::<T>() as u64
    }

    fn is_spinning(&self) -> bool {
        self.0 & 0x10 != 0
    }

    /// Whether threads may use the channel.
    fn may_cross(&self) -> bool {
        [CHAN_SPSC, CHAN_MPSC].contains(&(self.0 as u32 & 0xf))
    }
}
