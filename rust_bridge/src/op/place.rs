// SPDX-License-Identifier: MIT OR Apache-2.0
//! Where the future of an operation lies: in the operation's block, or on the heap if it is too large.
//! (The frame of a C task: frame.rs.) And the list through which it gets to tokio.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::future::Future;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll};

use super::{Op, Promise};
use crate::blocking::Slot;
use crate::bridge::Shared;
use crate::outcome::Outcome;
use crate::spawn_queue::SpawnQueue;
use crate::sys::TaskType;

const ROOM: usize = 192;

#[repr(C, align(16))]
pub(super) struct Room(MaybeUninit<[u8; ROOM]>);

/// What is done with a future whose type is forgotten.
pub(super) struct Calls {
    poll: unsafe fn(*mut Room, &mut Context<'_>) -> Poll<Outcome>,
    drop: unsafe fn(*mut Room),
}

/// What the room holds.
#[derive(Clone, Copy)]
pub(super) enum Placed {
    Nothing,
    Future(&'static Calls),
    /// The frame of a C task.
    Frame(*const TaskType),
}

/// Part of a block. Only the promise accesses it.
#[repr(C)]
pub(super) struct Place {
    /// The next item of the queue, as long as it is queued.
    next: UnsafeCell<*mut Op>,
    pub placed: UnsafeCell<Placed>,
    pub room: UnsafeCell<Room>,
}

impl Place {
    pub fn new() -> Place {
        Place {
            next: UnsafeCell::new(ptr::null_mut()),
            placed: UnsafeCell::new(Placed::Nothing),
            room: UnsafeCell::new(Room(MaybeUninit::uninit())),
        }
    }
}

pub(super) const fn fits(layout: Layout) -> bool {
    layout.size() <= ROOM && layout.align() <= align_of::<Room>()
}

fn calls<F>() -> &'static Calls
where
    F: Future + Send + 'static,
    F::Output: Into<Outcome>,
{
    /// # Safety
    /// `room` holds an F that is not moved.
    unsafe fn poll<F: Future<Output: Into<Outcome>>>(
        room: *mut Room,
        cx: &mut Context<'_>,
    ) -> Poll<Outcome> {
        // SAFETY: the caller's promise.
        let future = unsafe { Pin::new_unchecked(&mut *room.cast::<F>()) };
        future.poll(cx).map(Into::into)
    }
    /// # Safety
    /// `room` holds an F, which is not used after this.
    unsafe fn drop<F>(room: *mut Room) {
        // SAFETY: the caller's promise.
        unsafe { ptr::drop_in_place(room.cast::<F>()) }
    }
    &Calls {
        poll: poll::<F>,
        drop: drop::<F>,
    }
}

impl Promise {
    /// Moves a future into the block. It is dropped there by drop_placed(), before the promise ends.
    pub fn place<F>(&mut self, future: F)
    where
        F: Future + Send + 'static,
        F::Output: Into<Outcome>,
    {
        if fits(Layout::new::<F>()) {
            self.put(future);
        } else {
            self.put(Box::pin(future));
        }
    }

    fn put<F>(&mut self, future: F)
    where
        F: Future + Send + 'static,
        F::Output: Into<Outcome>,
    {
        assert!(fits(Layout::new::<F>()));
        let place = &self.op().place;
        // SAFETY: only the promise accesses the cells; the future fits.
        unsafe {
            place.room.get().cast::<F>().write(future);
            *place.placed.get() = Placed::Future(calls::<F>());
        }
    }

    /// Moves a job into the block, where it stays until the operation is freed. It is not dropped.
    pub fn put_slot(&mut self, slot: Slot) -> *mut Slot {
        const { assert!(fits(Layout::new::<Slot>()) && !std::mem::needs_drop::<Slot>()) };
        let room = self.op().place.room.get().cast::<Slot>();
        // SAFETY: only the promise accesses the cell; it fits.
        unsafe { room.write(slot) };
        room
    }

    /// The job, of a promise that has one.
    pub fn slot(&self) -> *mut Slot {
        self.op().place.room.get().cast::<Slot>()
    }

    /// Polls the future.
    pub fn poll_placed(&mut self, cx: &mut Context<'_>) -> Poll<Outcome> {
        let place = &self.op().place;
        // SAFETY: only the promise accesses the cells.
        match unsafe { *place.placed.get() } {
            // SAFETY: the calls are those of the future in the room, which is not moved.
            Placed::Future(calls) => unsafe { (calls.poll)(place.room.get(), cx) },
            _ => Poll::Pending,
        }
    }

    /// Drops the future, if there is one.
    pub fn drop_placed(&mut self) {
        let place = &self.op().place;
        // SAFETY: only the promise accesses the cells; what is dropped is no longer placed.
        unsafe {
            if let Placed::Future(calls) = *place.placed.get() {
                *place.placed.get() = Placed::Nothing;
                (calls.drop)(place.room.get());
            }
        }
    }

    /// Queues it. Some: it was not queued, and has to be spawned as the carrier.
    pub fn queue(self, queue: &SpawnQueue<Op>) -> Option<Promise> {
        let promise = std::mem::ManuallyDrop::new(self);
        let next = promise.op().place.next.get();
        // SAFETY: only the promise accesses the cell, until it is queued.
        let queued = queue.push(promise.0.as_ptr(), |link| unsafe { *next = link });
        (!queued).then(|| Promise(promise.0)) // not then_some(), which would drop it
    }
}

/// What was queued behind a carrier.
pub(crate) fn take_queued(shared: &Shared) -> Queued {
    let mut newest = shared.spawns.take();
    let mut oldest = ptr::null_mut();
    while let Some(op) = NonNull::new(newest) {
        // SAFETY: items of the queue are live, and belong to whoever took them.
        let next = unsafe { op.as_ref() }.place.next.get();
        // SAFETY: as above.
        newest = SpawnQueue::item(unsafe { next.replace(oldest) });
        oldest = op.as_ptr();
    }
    Queued(oldest)
}

/// Promises with their work, in the order in which they were queued.
pub(crate) struct Queued(*mut Op);

// SAFETY: promises are Send, and so are their futures.
unsafe impl Send for Queued {}

impl Queued {
    pub fn is_empty(&self) -> bool {
        self.0.is_null()
    }
}

impl Iterator for Queued {
    type Item = Promise;

    fn next(&mut self) -> Option<Promise> {
        let op = NonNull::new(self.0)?;
        // SAFETY: as in take_queued().
        self.0 = unsafe { *op.as_ref().place.next.get() };
        Some(Promise(op))
    }
}
