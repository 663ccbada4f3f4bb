// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rust futures that are polled on the C loop, inside tokio's context.
//!
//! 1. The context is entered for every poll and for the drop, and left afterwards. If it were kept,
//!    tokio would see a runtime on this thread for ever.
//! 2. The poll runs inside `Handle::block_on` of a future that is ready at its first poll: exactly
//!    one poll and no parking. And tokio's cooperative budget applies, so a stream that is always
//!    ready yields to the loop. If the loop itself runs inside a runtime, block_on would panic and
//!    that runtime's budget applies already, so the context is just entered.
//! 3. The waker is the C task's own (waker.rs). A future keeps the last waker that it was polled
//!    with. So the task that polled before is woken when another one polls, and polls again.
//! 4. A panic, in a poll or in the drop, is the result.
//! 5. A shutdown wakes the tasks that await local futures, and the next poll drops the future
//!    (locals.rs). Otherwise it would use a context that is shut down, which panics, or never end.
//! 6. After main() has returned, tokio's context no longer exists. In an atexit() handler a future is
//!    not polled, and it is leaked: outside the context its poll and its drop could panic.
//!
//! The future need not be Send: it stays on the thread that made it, which is the loop's.

use std::fmt;
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle as TokioHandle;
use tokio::task::{coop, LocalSet};

use crate::bridge::{Bridge, Shared};
use crate::ffi::NartTokioLocal;
use crate::locals::Entry;
use crate::outcome::Outcome;
use crate::panic::catch;
use crate::sys::{Poll as CPoll, Res, EFORK, EWRONGTHREAD, PENDING};
use crate::threads::{is_ending, this_thread, ThreadId};
use crate::waker::rust_waker;

type Boxed = Pin<Box<dyn Future<Output = Outcome>>>;

/// A future that the awaiting C task polls; made by [`Bridge::local`].
#[must_use = "only C awaits it: pass it on with into_c()"]
pub struct Local {
    future: Option<Boxed>,
    /// Polls the future in a runtime whose budget was used up; None until then. Kept for what the future
    /// spawns on it.
    set: Option<LocalSet>,
    outcome: Option<Outcome>,
    entry: Entry,
    shared: Arc<Shared>,
    thread: ThreadId,
}

impl fmt::Debug for Local {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Local")
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

impl Bridge {
    /// Makes a future that C awaits with `nart_tokio_local_await()`, on the calling thread.
    ///
    /// It may use everything that needs a tokio runtime: timers, sockets, channels. One allocation.
    /// If a poll of another runtime runs the loop, `tokio::task::yield_now()` waits for the end of that
    /// poll.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Bridge, NartTokioLocal, Options};
    ///
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// let bridge = Bridge::new(&Options::default())?;
    /// let future = bridge.local(async {
    ///     tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    ///     7_i64
    /// });
    /// let mut for_c: NartTokioLocal = future.into_c();
    /// # // SAFETY: made above, on this thread.
    /// # unsafe { nart_tokio::nart_tokio_local_close(&raw mut for_c) };
    /// # Ok(())
    /// # }
    /// ```
    pub fn local<F>(&self, future: F) -> Local
    where
        F: Future + 'static,
        F::Output: Into<Outcome>,
    {
        let future = async move { future.await.into() };
        Local {
            future: Some(Box::pin(future)),
            set: None,
            outcome: None,
            entry: self.0.locals.add(),
            shared: self.0.clone(),
            thread: this_thread(),
        }
    }
}

impl Local {
    /// Passes the future to C, which closes it with `nart_tokio_local_close()`.
    #[must_use = "only C can close it: dropping it leaks"]
    pub fn into_c(self) -> NartTokioLocal {
        NartTokioLocal::of(Some(Box::new(self)))
    }

    pub(crate) fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// The error if it may not be used here: another thread, or a forked child.
    pub(crate) fn check(&self) -> Result<(), Res> {
        if self.shared.is_forked() {
            return Err(EFORK);
        }
        if self.thread != this_thread() {
            return Err(EWRONGTHREAD);
        }
        Ok(())
    }

    /// Polls the future once, for the C task of `poll`. After check().
    pub(crate) fn poll(&mut self, poll: CPoll, value: &mut i64) -> Res {
        if let Some(outcome) = &self.outcome {
            return outcome.read(value);
        }
        let Some(future) = &mut self.future else {
            return PENDING;
        };
        let current = TokioHandle::try_current();
        let ending = matches!(&current, Err(e) if e.is_thread_local_destroyed());
        let waker = poll.waker();
        if !self.entry.waiter.record(waker) || ending {
            drop(self.drop_future());
            return self.outcome.insert(Outcome::shut_down()).read(value);
        }
        let waker = rust_waker(waker);
        let mut cx = Context::from_waker(&waker);
        let handle = &self.shared.handle;
        let polled = catch(|| {
            if current.is_err() {
                return Ok(handle.block_on(poll_fn(|_| Poll::Ready(future.as_mut().poll(&mut cx)))));
            }
            let _entered = handle.enter();
            if self.set.is_none() && coop::has_budget_remaining() {
                return Ok(poll_in_budget(future, &mut cx));
            }
            let set = self.set.get_or_insert_with(LocalSet::new);
            poll_in_set(set, future, &mut cx)
        });
        let outcome = match polled.and_then(|polled| polled) {
            Ok(Poll::Pending) => return poll.park(),
            Ok(Poll::Ready(outcome)) => outcome,
            // It used the context, which is shut down on another thread meanwhile.
            Err(_) if self.entry.waiter.is_closed() => Outcome::shut_down(),
            Err(text) => Outcome::panicked(text),
        };
        let dropped = self.drop_future();
        let outcome = match dropped {
            Err(text) if !outcome.is_panic() => Outcome::panicked(text),
            _ => outcome,
        };
        self.outcome.insert(outcome).read(value)
    }

    /// Drops the future inside tokio's context. The error is the text of its panic. If the context
    /// has been destroyed, because the thread ends, the future is leaked.
    fn drop_future(&mut self) -> Result<(), String> {
        let Some(future) = self.future.take() else {
            return Ok(());
        };
        let set = self.set.take();
        if is_ending() {
            std::mem::forget((future, set));
            return Ok(());
        }
        let handle = &self.shared.handle;
        catch(move || {
            let _entered = handle.enter();
            drop(future);
            drop(set);
        })
    }
}

/// Polls the future once, inside a runtime. Wakes its task if the budget is used up.
fn poll_in_budget(future: &mut Boxed, cx: &mut Context<'_>) -> Poll<Outcome> {
    let polled = future.as_mut().poll(cx);
    if polled.is_pending() && !coop::has_budget_remaining() {
        cx.waker().wake_by_ref();
    }
    polled
}

/// Polls the future once, in a task of the set. The error is the text of its panic.
fn poll_in_set(
    set: &mut LocalSet,
    future: &mut Boxed,
    cx: &mut Context<'_>,
) -> Result<Poll<Outcome>, String> {
    let mut polled = Ok(Poll::Pending);
    let (to, future, waker) = (&raw mut polled, ptr::from_mut(future), cx.waker().clone());
    let task = set.spawn_local(async move {
        // SAFETY: runs below, inside of poll(), or never: then it is aborted.
        let (to, future) = unsafe { (&mut *to, &mut *future) };
        *to = catch(|| poll_in_budget(future, &mut Context::from_waker(&waker)));
    });
    if Pin::new(set).poll(cx).is_pending() {
        task.abort(); // tasks that the future has spawned were before it; the set has woken this task
    }
    polled
}

impl Drop for Local {
    /// On another thread, and in a forked child, the future is leaked.
    fn drop(&mut self) {
        match self.check() {
            Ok(()) => {
                drop(self.drop_future());
                self.shared.locals.remove(&self.entry);
            }
            Err(_) => std::mem::forget((self.future.take(), self.set.take())),
        }
    }
}
