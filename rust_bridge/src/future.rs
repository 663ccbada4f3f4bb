// SPDX-License-Identifier: MIT OR Apache-2.0
//! What tokio runs for a future: the promise of its operation.
//!
//! The future lies in the block of its operation (op.rs) as long as the promise is set. It ends in one
//! of three ways: it completes or panics; it is cancelled, or its bridge ends, which is checked before
//! a poll and after one that left it pending; tokio drops it with its runtime. In each case the future
//! is dropped first and the result published last. If its drop panics, the result is that panic.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::batch;
use crate::bridge::Shared;
use crate::op::{self, Handle, Label, Promise};
use crate::outcome::Outcome;
use crate::panic::catch;
use crate::sys::Res;

/// Runs a future on tokio, for an operation.
pub fn spawn<F>(shared: &Arc<Shared>, handle: Handle, mut promise: Promise, future: F)
where
    F: Future + Send + 'static,
    F::Output: Into<Outcome>,
{
    promise.place(future);
    batch::spawn(shared, handle, promise);
}

/// The same, for a new operation. Errors: as op::begin().
pub fn start<F>(shared: &Arc<Shared>, future: F) -> Result<Handle, Res>
where
    F: Future + Send + 'static,
    F::Output: Into<Outcome>,
{
    let (handle, promise) = op::begin(shared, Label::future::<F>())?;
    spawn(shared, handle, promise, future);
    Ok(handle)
}

/// A future whose output, panic or cancellation becomes the result of an operation.
pub struct Supervised {
    promise: Option<Promise>,
}

impl Supervised {
    #[cfg(feature = "http")]
    pub fn new<F>(future: F, mut promise: Promise) -> Supervised
    where
        F: Future + Send + 'static,
        F::Output: Into<Outcome>,
    {
        promise.place(future);
        Supervised::of(promise)
    }

    /// The promise has its future.
    pub fn of(promise: Promise) -> Supervised {
        Supervised {
            promise: Some(promise),
        }
    }

    /// Drops the future and publishes `outcome`; None: cancelled or shut down.
    fn end(&mut self, outcome: Option<Outcome>) {
        let Some(mut promise) = self.promise.take() else {
            return;
        };
        let dropped = catch(|| promise.drop_placed());
        match (outcome, dropped) {
            (Some(outcome), _) if outcome.is_panic() => promise.finish(outcome), // the first panic counts
            (_, Err(text)) => promise.finish(Outcome::panicked(text)),
            (Some(outcome), Ok(())) => promise.finish(outcome),
            (None, Ok(())) => drop(promise), // publishes which of the two
        }
    }
}

impl Future for Supervised {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let Some(promise) = &mut this.promise else {
            return Poll::Ready(());
        };
        promise.start();
        if promise.must_end() {
            this.end(None);
            return Poll::Ready(());
        }
        match catch(|| promise.poll_placed(cx)) {
            Ok(Poll::Pending) if !promise.register(cx.waker()) => {
                promise.pause();
                return Poll::Pending;
            }
            Ok(Poll::Pending) => this.end(None),
            Ok(Poll::Ready(outcome)) => this.end(Some(outcome)),
            Err(text) => this.end(Some(Outcome::panicked(text))),
        }
        Poll::Ready(())
    }
}

impl Drop for Supervised {
    fn drop(&mut self) {
        self.end(None);
    }
}
