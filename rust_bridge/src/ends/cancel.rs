// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cancellation tokens of C (`nart/cancel.h`) in Rust: each side can cancel the other.
//!
//! Rust cancels a [`Token`] from any thread, which wakes the C tasks that await it. C cancels a
//! token, and wakes the Rust futures that await a [`Listener`] of it. [`Listener::join`] joins a
//! token to another kind of token, for example that of tokio-util.
//!
//! # Examples
//!
//! A token of C and one of tokio-util: whichever is cancelled first cancels the other. Dropping the
//! operation ends that.
//!
//! ```
//! use nart_tokio::cancel::Token;
//! use nart_tokio::{Bridge, Error, Operation, Rt};
//! use tokio_util::sync::CancellationToken;
//!
//! /// # Safety
//! /// `rt` is the runtime of this thread.
//! unsafe fn join(
//!     bridge: &Bridge,
//!     rt: *mut Rt,
//!     c: &Token,
//!     rust: CancellationToken,
//! ) -> Result<Option<Operation>, Error> {
//!     // SAFETY: the caller's promise.
//!     let listener = unsafe { c.listen(rt) }?;
//!     let cancelled = rust.clone().cancelled_owned();
//!     Ok(bridge.spawn(listener.join(cancelled, move || rust.cancel())).ok())
//! }
//! ```

use std::ffi::c_void;
use std::fmt;
use std::future::{poll_fn, Future};
use std::pin::pin;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::Arc;
use std::task::Poll;

use tokio::sync::watch;

use crate::error::Error;
use crate::sys::ends::{
    nart_token_await, nart_token_cancel, nart_token_child, nart_token_child_on, nart_token_clone,
    nart_token_new, nart_token_release, Waiter,
};
use crate::sys::{
    nart_rt_spawn_begin, nart_rt_spawn_commit, Cx, NartWaker, Poll as CPoll, Res, Rt, TaskType,
    ESTALE,
};

pub use crate::sys::ends::NartToken;

/// A handle of a cancellation token. Clones refer to the same token.
///
/// # Examples
///
/// ```
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
/// use nart_tokio::cancel::Token;
///
/// # fn main() -> Result<(), nart_tokio::Error> {
/// # let event_loop = EventLoop::new();
/// // SAFETY: the runtime of this thread.
/// let token = unsafe { Token::new(event_loop.rt()) }?;
/// let child = token.child()?;
/// std::thread::spawn(move || token.cancel()).join().unwrap();
/// assert!(child.is_cancelled());
/// # Ok(())
/// # }
/// ```
pub struct Token(NartToken);

// SAFETY: its functions may be called on any thread; `listen` checks the thread.
unsafe impl Send for Token {}
// SAFETY: as above; no function changes the handle through a reference.
unsafe impl Sync for Token {}

impl Token {
    /// Makes a token without a parent, which tasks of the runtime `rt` can await.
    ///
    /// # Errors
    /// `-EINVAL` no `rt`; `-ENOMEM`; `NART_EWRONGTHREAD`, `NART_EFORK`.
    ///
    /// # Safety
    /// `rt` is NULL, or a live runtime.
    ///
    /// # Examples
    ///
    /// See [`Token`].
    pub unsafe fn new(rt: *mut Rt) -> Result<Token, Error> {
        let mut token = Token(NartToken::EMPTY);
        // SAFETY: the caller's promise.
        Error::check(unsafe { nart_token_new(rt, &mut token.0) })?;
        Ok(token)
    }

    /// Another handle of a token of C, which keeps its own.
    ///
    /// # Errors
    /// `-EINVAL` NULL, or an empty handle.
    ///
    /// # Safety
    /// `token` is NULL, or a handle that is not released meanwhile.
    ///
    /// # Examples
    ///
    /// See [`Listener::cancelled`].
    pub unsafe fn from_c(token: *const NartToken) -> Result<Token, Error> {
        let mut clone = Token(NartToken::EMPTY);
        // SAFETY: the caller's promise.
        unsafe {
            let token = token.as_ref().filter(|token| !token.node.is_null());
            nart_token_clone(token.ok_or(Error::errno(libc::EINVAL))?, &mut clone.0);
        }
        Ok(clone)
    }

    /// Passes the handle to C, which releases it with `nart_token_release()`.
    ///
    /// # Examples
    ///
    /// ```
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/rust_bridge/doc/event_loop.rs"));
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// # let event_loop = EventLoop::new();
    /// # use nart_tokio::cancel::{NartToken, Token};
    /// // SAFETY: the runtime of this thread.
    /// let token = unsafe { Token::new(event_loop.rt()) }?;
    /// let for_c: NartToken = token.clone().into_c();
    /// # extern "C" {
    /// #     fn nart_token_release(token: *mut NartToken);
    /// # }
    /// # let mut for_c = for_c;
    /// # // SAFETY: made above.
    /// # unsafe { nart_token_release(&mut for_c) };
    /// # Ok(())
    /// # }
    /// ```
    #[must_use = "only C can close it: dropping it leaks"]
    pub fn into_c(mut self) -> NartToken {
        std::mem::replace(&mut self.0, NartToken::EMPTY)
    }

    /// A child, which is cancelled with this token. Tasks of the same runtime can await it.
    ///
    /// # Errors
    /// `-ENOMEM`; `NART_EFORK`.
    ///
    /// # Examples
    ///
    /// See [`Token`].
    pub fn child(&self) -> Result<Token, Error> {
        let mut child = Token(NartToken::EMPTY);
        // SAFETY: a live handle.
        Error::check(unsafe { nart_token_child(&self.0, &mut child.0) })?;
        Ok(child)
    }

    /// Cancels the token and its children, and wakes the C tasks that await them. Idempotent.
    ///
    /// # Examples
    ///
    /// See [`Token`].
    pub fn cancel(&self) {
        // SAFETY: a live handle.
        unsafe { nart_token_cancel(&self.0) }
    }

    /// Whether the token is cancelled. If so, what the canceller wrote before is visible.
    ///
    /// # Examples
    ///
    /// See [`Token`].
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        let state = self.0.node.cast::<AtomicU32>();
        // SAFETY: a token begins with its state, whose lowest bit says this (detail/cancel.h).
        unsafe { (*state).load(Ordering::Acquire) & 1 != 0 }
    }

    /// Listens for the cancellation, on the runtime `rt`: this spawns a task on it, which awaits a
    /// child of the token until that is cancelled or the listener is dropped. So until then the
    /// runtime has one more task; its end, or shutdown, ends the listening.
    ///
    /// # Errors
    /// `-EINVAL` no `rt`; `NART_EWRONGTHREAD`, `NART_EFORK`; `-ENOMEM`; `NART_ESHUTDOWN`;
    /// `NART_ESLOTS`.
    ///
    /// # Safety
    /// `rt` is NULL, or a live runtime.
    ///
    /// # Examples
    ///
    /// See [the module](crate::cancel).
    pub unsafe fn listen(&self, rt: *mut Rt) -> Result<Listener, Error> {
        let mut child = Token(NartToken::EMPTY);
        let (notify, cancelled) = watch::channel(false);
        let word = Arc::new(AtomicUsize::new(0));
        // SAFETY: the caller's promise. The frame is filled in before it is committed.
        unsafe {
            Error::check(nart_token_child_on(&self.0, rt, &mut child.0))?;
            let mut error = 0;
            let frame = nart_rt_spawn_begin(rt, &TYPE, &mut error).cast::<Frame>();
            if frame.is_null() {
                return Err(Error::of(error));
            }
            frame.write(Frame {
                child,
                waiter: Waiter::IDLE,
                notify,
                word: word.clone(),
            });
            let _ = nart_rt_spawn_commit(rt, frame.cast(), ptr::null_mut());
        }
        let token = self.clone();
        Ok(Listener {
            token,
            cancelled,
            word,
        })
    }
}

impl Clone for Token {
    fn clone(&self) -> Token {
        let mut clone = Token(NartToken::EMPTY);
        // SAFETY: a live handle, or an empty one.
        unsafe { nart_token_clone(&self.0, &mut clone.0) }
        clone
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        // SAFETY: the handle's only release; it may be empty.
        unsafe { nart_token_release(&mut self.0) }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("is_cancelled", &self.is_cancelled())
            .finish_non_exhaustive()
    }
}

// ---- the task of the loop ----

/// In the word of a listener: it was dropped. Otherwise the word is 0, or the waker of the task.
const GONE: usize = usize::MAX;

struct Frame {
    child: Token,
    waiter: Waiter,
    notify: watch::Sender<bool>,
    word: Arc<AtomicUsize>,
}

unsafe extern "C-unwind" fn poll(cx: *mut Cx, frame: *mut c_void) -> Res {
    // SAFETY: the frame is a Frame, and this is its poll.
    unsafe {
        let frame = frame.cast::<Frame>();
        // The task and the listener's drop each exchange the word once per turn: the later of the
        // two sees the other. Acquire and release: nothing else is shared; they cost nothing here.
        let waker = CPoll::new(cx).waker().w;
        if (*frame).word.swap(waker, Ordering::AcqRel) == GONE {
            return 0;
        }
        let answer = nart_token_await(cx, &(*frame).child.0, &raw mut (*frame).waiter);
        if answer == 0 {
            (*frame).notify.send_replace(true);
        }
        answer
    }
}

unsafe extern "C-unwind" fn end(frame: *mut c_void) {
    // SAFETY: the frame is a Frame, and this is its drop.
    unsafe { frame.cast::<Frame>().drop_in_place() }
}

static TYPE: TaskType = TaskType::of::<Frame>(c"a listener of a token in Rust", poll, Some(end));

/// Listens for the cancellation of a token; made by [`Token::listen`]. Dropping it ends that.
///
/// # Examples
///
/// See [`Listener::cancelled`].
pub struct Listener {
    token: Token,
    cancelled: watch::Receiver<bool>,
    word: Arc<AtomicUsize>,
}

impl Listener {
    /// Waits until the token is cancelled. Several tasks may wait.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// `NART_ESTALE` the runtime on which it listens was shut down or freed before.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::cancel::{NartToken, Token};
    /// use nart_tokio::{export, NartTokio, NartTokioOp, Rt};
    ///
    /// /// Works until C cancels the token.
    /// #[no_mangle]
    /// pub unsafe extern "C" fn my_work(
    ///     tokio: *mut NartTokio,
    ///     rt: *mut Rt,
    ///     token: *const NartToken,
    ///     op: *mut NartTokioOp,
    /// ) -> i64 {
    ///     // SAFETY: C passes the runtime of this thread, and a live handle.
    ///     let listener = unsafe { Token::from_c(token).and_then(|token| token.listen(rt)) };
    ///     match listener {
    ///         // SAFETY: C passes a live bridge, and an operation that is not open.
    ///         Ok(listener) => unsafe { export(tokio, op, || async move { listener.cancelled().await }) },
    ///         Err(error) => error.code(),
    ///     }
    /// }
    /// ```
    pub async fn cancelled(&self) -> Result<(), Error> {
        let mut cancelled = self.cancelled.clone();
        let waited = cancelled.wait_for(|cancelled| *cancelled).await;
        match waited {
            // The end of the loop, which cancels the task as well, came between the two.
            Err(_) if !self.token.is_cancelled() => Err(Error::of(ESTALE)),
            _ => Ok(()),
        }
    }

    /// Joins the token to another one: `cancelled` ends when that is cancelled, and `cancel`
    /// cancels it. Whichever is cancelled first cancels the other; then this ends. If the runtime on
    /// which it listens ends first, a later cancellation in C is not seen: this ends when the other one
    /// does, or when it is dropped.
    ///
    /// # Examples
    ///
    /// See [the module](crate::cancel).
    pub async fn join(self, cancelled: impl Future, cancel: impl FnOnce()) {
        let here = async {
            match self.cancelled().await {
                Ok(()) => (),
                Err(_) => std::future::pending().await, // C cancels no more
            }
        };
        let (mut here, mut there) = (pin!(here), pin!(cancelled));
        let was_here = poll_fn(|cx| match here.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(true),
            Poll::Pending => there.as_mut().poll(cx).map(|_| false),
        });
        match was_here.await {
            true => cancel(),
            false => self.token.cancel(),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // See poll().
        let w = self.word.swap(GONE, Ordering::AcqRel);
        NartWaker { w }.wake();
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener")
            .field("token", &self.token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ends::guest::tests::{poll, task, wakes, EventLoop};

    fn token(event_loop: &EventLoop) -> Token {
        // SAFETY: the runtime of this thread.
        unsafe { Token::new(event_loop.rt()) }.unwrap()
    }

    fn listen(event_loop: &EventLoop, token: &Token) -> Listener {
        // SAFETY: the runtime of this thread.
        unsafe { token.listen(event_loop.rt()) }.unwrap()
    }

    #[test]
    fn a_cancelled_token_wakes_the_future_once() {
        let event_loop = EventLoop::new();
        let token = token(&event_loop);
        let listener = listen(&event_loop, &token);
        let (counts, waker) = task();
        let mut future = pin!(listener.cancelled());
        assert!(poll(&waker, future.as_mut()).is_pending());
        event_loop.poll();
        assert_eq!(wakes(&counts), 0);
        let clone = token.clone();
        std::thread::spawn(move || clone.cancel()).join().unwrap();
        event_loop.poll();
        assert_eq!(wakes(&counts), 1);
        assert_eq!(poll(&waker, future.as_mut()), Poll::Ready(Ok(())));
        token.cancel();
        event_loop.poll();
        assert_eq!(wakes(&counts), 1);
    }

    #[test]
    fn a_parent_cancels_it_and_so_it_is_already_cancelled() {
        let event_loop = EventLoop::new();
        let parent = token(&event_loop);
        let child = parent.child().unwrap();
        parent.cancel();
        assert!(child.is_cancelled());
        let listener = listen(&event_loop, &child);
        event_loop.poll();
        let (_, waker) = task();
        assert_eq!(
            poll(&waker, pin!(listener.cancelled())),
            Poll::Ready(Ok(()))
        );
    }

    #[test]
    fn the_task_ends_with_the_listener() {
        let event_loop = EventLoop::new();
        let token = token(&event_loop);
        for polled_before in [false, true] {
            let listener = listen(&event_loop, &token);
            assert_eq!(event_loop.tasks(), 1);
            if polled_before {
                event_loop.poll();
            }
            std::thread::spawn(|| drop(listener)).join().unwrap();
            event_loop.poll();
            assert_eq!(event_loop.tasks(), 0);
        }
    }

    #[test]
    fn the_end_of_the_runtime_is_an_error() {
        let event_loop = EventLoop::new();
        let token = token(&event_loop);
        let listener = listen(&event_loop, &token);
        let (counts, waker) = task();
        let mut future = pin!(listener.cancelled());
        assert!(poll(&waker, future.as_mut()).is_pending());
        drop(event_loop);
        assert_eq!(wakes(&counts), 1);
        assert_eq!(poll(&waker, future), Poll::Ready(Err(Error::of(ESTALE))));
        token.cancel();
    }

    #[test]
    fn other_threads_cannot_listen() {
        let event_loop = EventLoop::new();
        let token = token(&event_loop);
        event_loop.poll(); // binds the runtime to this thread
        let rt = event_loop.rt() as usize;
        let code = std::thread::spawn(move || {
            // SAFETY: the runtime is live: its thread waits.
            unsafe { token.listen(rt as *mut Rt) }.unwrap_err().code()
        });
        assert_eq!(code.join().unwrap(), crate::sys::EWRONGTHREAD);
    }

    #[test]
    fn each_side_cancels_the_other() {
        let event_loop = EventLoop::new();
        for by_c in [false, true] {
            let (token, rust) = (
                token(&event_loop),
                tokio_util::sync::CancellationToken::new(),
            );
            let listener = listen(&event_loop, &token);
            let (_, waker) = task();
            let cancel = rust.clone();
            let mut join =
                pin!(listener.join(rust.clone().cancelled_owned(), move || cancel.cancel()));
            assert!(poll(&waker, join.as_mut()).is_pending());
            match by_c {
                true => token.cancel(),
                false => rust.cancel(),
            }
            event_loop.poll();
            assert!(poll(&waker, join).is_ready());
            assert!(token.is_cancelled() && rust.is_cancelled());
            event_loop.poll();
        }
    }
}
