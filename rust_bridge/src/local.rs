// SPDX-License-Identifier: MIT OR Apache-2.0
//! A Rust future that is polled on the C loop, inside tokio's context ("with tokio").
//!
//! 1. The context is entered for every poll and for the drop, and left again: a guard that is kept
//!    would make tokio believe in a runtime on this thread for ever.
//! 2. The poll happens inside `Handle::block_on` of a future that is ready at its first poll: exactly
//!    one poll, no parking, and tokio's cooperative budget is in force, so a stream that is always
//!    ready gives the loop back. When the loop itself runs inside a runtime, block_on would panic, and
//!    that runtime's budget rules already; there the context is just entered.
//! 3. The waker is the C task's own word (waker.rs). A future keeps the last waker that it was polled
//!    with, so a task that polled before is woken when another one polls, and polls again.
//! 4. A panic, of a poll or of the drop, is the answer.
//!
//! The future need not be Send: it stays on the thread that made it, which is the loop's.

use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle as TokioHandle;

use crate::bridge::{Bridge, Shared};
use crate::ffi::NartTokioLocal;
use crate::op::Outcome;
use crate::panic::catch;
use crate::sys::{NartWaker, Poll as CPoll, Res, EFORK, EWRONGTHREAD, PENDING};
use crate::threads::this_thread;
use crate::waker::rust_waker;

/// A future to be polled by the C task that awaits it; see [`Bridge::local`].
pub struct Local {
    future: Option<Pin<Box<dyn Future<Output = Outcome>>>>,
    outcome: Option<Outcome>,
    /// Who polled last.
    waiter: NartWaker,
    shared: Arc<Shared>,
    thread: libc::pthread_t,
}

impl Bridge {
    /// Makes a future that C awaits by `nart_tokio_local_await()`, on the calling thread.
    ///
    /// It may use whatever needs a tokio runtime: timers, sockets, channels.
    pub fn local<F>(&self, future: F) -> Local
    where
        F: Future + 'static,
        F::Output: Into<Outcome>,
    {
        let future = async move { future.await.into() };
        Local {
            future: Some(Box::pin(future)),
            outcome: None,
            waiter: NartWaker { w: 0 },
            shared: self.0.clone(),
            thread: this_thread(),
        }
    }
}

impl Local {
    /// The future for C, which closes it.
    pub fn into_c(self) -> NartTokioLocal {
        NartTokioLocal::of(Some(Box::new(self)))
    }

    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// 0, or why it cannot be touched here.
    pub(crate) fn check(&self) -> Result<(), Res> {
        if self.shared.is_forked() {
            return Err(EFORK);
        }
        if self.thread != this_thread() {
            return Err(EWRONGTHREAD);
        }
        Ok(())
    }

    /// After check().
    pub(crate) fn poll(&mut self, poll: CPoll, value: &mut i64) -> Res {
        if let Some(outcome) = &self.outcome {
            return outcome.read(value);
        }
        let Some(future) = &mut self.future else {
            return PENDING;
        };
        let waiter = poll.waker();
        let other = std::mem::replace(&mut self.waiter, waiter);
        if other != waiter {
            other.wake();
        }
        let waker = rust_waker(waiter);
        let mut cx = Context::from_waker(&waker);
        let handle = &self.shared.handle;
        let polled = catch(|| {
            if TokioHandle::try_current().is_ok() {
                let _entered = handle.enter();
                return future.as_mut().poll(&mut cx);
            }
            handle.block_on(poll_fn(|_| Poll::Ready(future.as_mut().poll(&mut cx))))
        });
        let outcome = match polled {
            Ok(Poll::Pending) => return poll.park(),
            Ok(Poll::Ready(outcome)) => outcome,
            Err(text) => Outcome::panicked(text),
        };
        let dropped = self.drop_future();
        let outcome = match dropped {
            Err(text) if !outcome.is_panic() => Outcome::panicked(text),
            _ => outcome,
        };
        self.outcome.insert(outcome).read(value)
    }

    fn drop_future(&mut self) -> Result<(), String> {
        let Some(future) = self.future.take() else {
            return Ok(());
        };
        let handle = &self.shared.handle;
        catch(move || {
            let _entered = handle.enter();
            drop(future);
        })
    }
}

impl Drop for Local {
    /// On its thread; elsewhere, and in a child of fork, the future is leaked.
    fn drop(&mut self) {
        match self.check() {
            Ok(()) => drop(self.drop_future()),
            Err(_) => std::mem::forget(self.future.take()),
        }
    }
}
