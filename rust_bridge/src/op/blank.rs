// SPDX-License-Identifier: MIT OR Apache-2.0
//! How an operation begins: a block of the pool is filled, and then gets its two owners.

use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::sync::Arc;

use super::{Handle, Label, Op, Promise, NEVER_COUNTED, NOT_YET_COUNTED};
use crate::bridge::Shared;
use crate::sys::{errno, Res};

/// A block without an operation. Its drop returns it to the pool.
pub(crate) struct Blank<'a> {
    op: NonNull<Op>,
    shared: &'a Arc<Shared>,
}

impl<'a> Blank<'a> {
    /// Error: -ENOMEM.
    pub fn take(shared: &'a Arc<Shared>) -> Result<Blank<'a>, Res> {
        let op = shared.ops.take().ok_or(errno(libc::ENOMEM))?;
        Ok(Blank { op, shared })
    }

    pub(super) fn op(&self) -> &Op {
        // SAFETY: the block is live; it has no other owner.
        unsafe { self.op.as_ref() }
    }

    /// Begins an operation, admitted and counted. Error: NART_ESHUTDOWN.
    pub fn admit(self, label: Label) -> Result<(Handle, Promise), Res> {
        self.shared.tracker.admit()?;
        Ok(self.begin(label, NOT_YET_COUNTED))
    }

    fn begin(self, label: Label, counted: u8) -> (Handle, Promise) {
        let blank = std::mem::ManuallyDrop::new(self);
        let block = blank.op();
        block.counted.store(counted, Ordering::Relaxed);
        // SAFETY: it has no other owner yet.
        unsafe { *block.bridge.get() = Some(blank.shared.clone()) };
        block.label.set(label);
        block.times.begin(&blank.shared.legs);
        // SAFETY: as above.
        unsafe { *block.traced.get() = blank.shared.traces.submitted(label) };
        block.state.begin();
        (Handle(blank.op), Promise(blank.op))
    }
}

impl Drop for Blank<'_> {
    fn drop(&mut self) {
        self.op().place.free_frame();
        // SAFETY: it is from take(), and has no other owner.
        unsafe { self.shared.ops.give(self.op) }
    }
}

/// A new operation, admitted and counted. Errors: NART_ESHUTDOWN, -ENOMEM.
pub(crate) fn begin(shared: &Arc<Shared>, label: Label) -> Result<(Handle, Promise), Res> {
    Blank::take(shared)?.admit(label)
}

/// A new operation that is neither admitted nor counted. None if there is no memory.
pub(crate) fn begin_uncounted(shared: &Arc<Shared>) -> Option<(Handle, Promise)> {
    let blank = Blank::take(shared).ok()?;
    Some(blank.begin(Label::PART, NEVER_COUNTED))
}
