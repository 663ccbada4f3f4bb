// SPDX-License-Identifier: MIT OR Apache-2.0
//! How work reaches tokio: by a spawn of its own, or with the batch of a carrier (spawn_queue.rs).
//!
//! A carrier polls nothing before its batch is on the way in a task of its own, so work that blocks its
//! thread holds up nothing that another worker could run.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::bridge::Shared;
use crate::ctask::CTask;
use crate::future::Supervised;
use crate::op::{self, Handle, Promise, Queued};

/// Spawns of a batch between two tasks of others: half of the queue of a tokio worker.
const AT_ONCE: usize = 128;

/// Runs what lies in the block of an operation on tokio: a future, or a C task.
pub fn spawn(shared: &Arc<Shared>, handle: Handle, promise: Promise) {
    let Some(promise) = promise.queue(&shared.spawns) else {
        return;
    };
    let tokio = &shared.handle;
    handle.keep(match promise.has_frame() {
        true => tokio.spawn(Carrier::new(shared, CTask::of(promise))),
        false => tokio.spawn(Carrier::new(shared, Supervised::of(promise))),
    });
}

/// Work that was spawned first. It brings the batch at its first poll, or when it is dropped without one.
struct Carrier<W> {
    /// None: it has brought it.
    shared: Option<Arc<Shared>>,
    work: W,
}

impl<W: Future<Output = ()>> Carrier<W> {
    fn new(shared: &Arc<Shared>, work: W) -> Carrier<W> {
        let shared = Some(shared.clone());
        Carrier { shared, work }
    }
}

impl<W: Future<Output = ()>> Future for Carrier<W> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // SAFETY: `work` is not moved, and pinned if self is.
        let this = unsafe { self.get_unchecked_mut() };
        if let Some(shared) = this.shared.take() {
            let queued = op::take_queued(&shared);
            if !queued.is_empty() {
                tokio::spawn(Batch(queued));
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        // SAFETY: as above.
        unsafe { Pin::new_unchecked(&mut this.work) }.poll(cx)
    }
}

impl<W> Drop for Carrier<W> {
    fn drop(&mut self) {
        if let Some(shared) = self.shared.take() {
            drop(Batch(op::take_queued(&shared)));
        }
    }
}

/// What a carrier brought. Polls nothing of it.
struct Batch(Queued);

impl Future for Batch {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        for promise in self.0.by_ref().take(AT_ONCE) {
            if promise.has_frame() {
                tokio::spawn(CTask::of(promise));
            } else {
                tokio::spawn(Supervised::of(promise));
            }
        }
        if self.0.is_empty() {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        for promise in self.0.by_ref() {
            if promise.has_frame() {
                drop(CTask::of(promise));
            } else {
                drop(Supervised::of(promise));
            }
        }
    }
}
