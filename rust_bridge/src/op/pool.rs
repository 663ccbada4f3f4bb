// SPDX-License-Identifier: MIT OR Apache-2.0
//! The blocks of a bridge's operations: those that are free, and the list of all, through which a
//! shutdown reaches operations whose work does not end.
//!
//! A block is freed under the lock only. So what holds the lock may read the atomics of any block.

use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use std::sync::Mutex;
use std::task::Waker;

use super::{Kind, Op, Promise, COUNTED, LEFT_BEHIND, NOT_YET_COUNTED};
use crate::bridge::{lock, lock_mut};
use crate::observe::Times;
use crate::outcome::Status;
use crate::state::Met;
use crate::sys::NartWaker;
use crate::tracker::Tracker;

struct Blocks {
    free: Vec<NonNull<Op>>,
    /// All that exist, in use or not.
    all: Vec<NonNull<Op>>,
}

/// The pool of operation blocks. Any thread.
pub(crate) struct Ops {
    blocks: Mutex<Blocks>,
    keep: usize,
}

// SAFETY: a block in `free` belongs to the pool; of the others it uses `state` and `task`, which are
// atomic, and `number`, under the lock.
unsafe impl Send for Ops {}
// SAFETY: as above.
unsafe impl Sync for Ops {}

impl Blocks {
    /// A new block, in `all`. None if there is no memory.
    fn make(&mut self) -> Option<NonNull<Op>> {
        self.all.try_reserve(1).ok()?;
        let mut block = Op::allocate()?;
        *block.number.get_mut() = self.all.len() as u32;
        let block = NonNull::from(Box::leak(block));
        self.all.push(block);
        Some(block)
    }

    /// Takes a block out of `all`. The last one gets its number.
    ///
    /// # Safety
    /// The caller is its only owner.
    unsafe fn remove(&mut self, block: NonNull<Op>) -> Box<Op> {
        // SAFETY: blocks in `all` are live; the lock is held.
        unsafe {
            let number = *block.as_ref().number.get();
            self.all.swap_remove(number as usize);
            if let Some(moved) = self.all.get(number as usize) {
                *moved.as_ref().number.get() = number;
            }
            Box::from_raw(block.as_ptr())
        }
    }
}

impl Ops {
    /// None if there is no memory.
    pub fn new(keep: u32) -> Option<Ops> {
        let keep = keep as usize;
        let mut blocks = Blocks {
            free: Vec::new(),
            all: Vec::new(),
        };
        blocks.free.try_reserve_exact(keep).ok()?;
        blocks.all.try_reserve_exact(keep).ok()?;
        let mut ops = Ops {
            blocks: Mutex::new(blocks),
            keep,
        };
        let blocks = lock_mut(&mut ops.blocks);
        for _ in 0..keep {
            let block = blocks.make()?;
            blocks.free.push(block);
        }
        // After all blocks, so that the blocks are close to each other.
        for block in &mut blocks.free {
            // SAFETY: it is in the pool only.
            unsafe { block.as_mut() }.make_scratch();
        }
        Some(ops)
    }

    /// A block. None if there is no memory.
    pub(super) fn take(&self) -> Option<NonNull<Op>> {
        let mut blocks = lock(&self.blocks);
        match blocks.free.pop() {
            None => blocks.make(),
            kept => kept,
        }
    }

    /// # Safety
    /// The block is from take(), and the caller is its only owner.
    pub(super) unsafe fn give(&self, block: NonNull<Op>) {
        // SAFETY: the caller's promise.
        unsafe { block.as_ref().reset() };
        let mut blocks = lock(&self.blocks);
        if blocks.free.len() < self.keep {
            blocks.free.push(block);
            return;
        }
        // SAFETY: as above.
        let block = unsafe { blocks.remove(block) };
        drop(blocks);
        drop(block);
    }

    /// Answers NART_ESHUTDOWN for each operation that has not ended, except this one. Counts them.
    pub fn end_all(&self, tracker: &Tracker, except: Option<&Promise>) {
        let except = except.map(|promise| promise.0);
        let mut waiters = Vec::new();
        let blocks = lock(&self.blocks);
        for &block in blocks.all.iter().filter(|&&block| Some(block) != except) {
            // SAFETY: blocks are freed under the lock only.
            let op = unsafe { block.as_ref() };
            if let Met::Waiter(w) = op.state.force() {
                waiters.push(NartWaker { w });
            }
            let is_job = op.label.kind() == Kind::Job;
            let counted = if is_job { LEFT_BEHIND } else { COUNTED };
            match op.counted.swap(counted, Ordering::Relaxed) == NOT_YET_COUNTED {
                true if is_job => tracker.leave(Status::Shutdown),
                true => tracker.leave_running(),
                false => {}
            }
        }
        drop(blocks);
        waiters.into_iter().for_each(NartWaker::wake);
    }

    /// Waits until each operation but this one has its answer. All were counted, which the promise does
    /// right before it publishes.
    pub fn settle(&self, except: Option<&Promise>) {
        let except = except.map(|promise| promise.0);
        let is_late = |block: &NonNull<Op>| {
            // SAFETY: blocks are freed under the lock only.
            Some(*block) != except && unsafe { block.as_ref() }.state.is_unanswered()
        };
        while lock(&self.blocks).all.iter().any(is_late) {
            std::thread::yield_now();
        }
    }

    /// Calls `see` with the kind, the name and the times of each operation whose work has not ended.
    pub fn each(&self, mut see: impl FnMut(Kind, &str, &Times)) {
        let blocks = lock(&self.blocks);
        for block in &blocks.all {
            // SAFETY: blocks are freed under the lock only.
            let op = unsafe { block.as_ref() };
            if op.counted.load(Ordering::Relaxed) == NOT_YET_COUNTED {
                see(op.label.kind(), &op.label.name(), &op.times);
            }
        }
    }

    /// Wakes the tokio tasks of all operations.
    pub fn wake_tasks(&self) {
        let blocks = lock(&self.blocks);
        // SAFETY: blocks are freed under the lock only.
        let task = |block: &NonNull<Op>| unsafe { block.as_ref() }.task.take();
        let wakers: Vec<Waker> = blocks.all.iter().filter_map(task).collect();
        drop(blocks); // a wake may drop a future, and that frees its block
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Drop for Ops {
    /// All blocks are in the pool: one in use refers to the bridge.
    fn drop(&mut self) {
        for block in lock_mut(&mut self.blocks).free.drain(..) {
            // SAFETY: it is in the pool only.
            drop(unsafe { Box::from_raw(block.as_ptr()) });
        }
    }
}
