// SPDX-License-Identifier: MIT OR Apache-2.0
//! The wakers of C tasks on tokio.
//!
//! A nart waker is a plain value that stays valid for ever, and a tokio waker is reference-counted.
//! So the waker of such a task is the address of a cell that holds the tokio waker. Cells are never
//! freed: they are lent to one owner after another. An old waker then causes a spurious poll,
//! which every operation allows.
//!
//! In a forked child, a cell of the parent wakes no task: a thread that does not exist in the child may hold a
//! lock of tokio's.

use std::cell::Cell;
use std::mem::size_of;
use std::ptr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::Mutex;
use std::task::Waker;

use atomic_waker::AtomicWaker;

use crate::bridge::lock;
use crate::panic::catch;
use crate::sys::Wakeable;
use crate::threads::fork_epoch;

/// Holds the tokio waker of a C task; its address is the task's nart waker. Never unmapped.
#[repr(C, align(64))]
pub struct WakerCell {
    wakeable: Wakeable,
    task: AtomicWaker,
    /// The fork_epoch() of the task.
    epoch: AtomicU32,
    /// The next free cell. Accessed under FREE's lock only.
    next: Cell<Option<&'static WakerCell>>,
}

// SAFETY: `next` has its lock, the rest is atomic or constant.
unsafe impl Sync for WakerCell {}

static FREE: Mutex<Option<&'static WakerCell>> = Mutex::new(None);

unsafe extern "C" fn cell_wake(this: *mut Wakeable) {
    // SAFETY: the wakeable is the first field of a waker cell, and cells are never freed.
    let cell = unsafe { &*this.cast::<WakerCell>() };
    if cell.epoch.load(Ordering::Relaxed) == fork_epoch() {
        // A waker is code of another executor. Its panic must not end the process, or reach who sends.
        drop(catch(|| cell.task.wake()));
    }
}

/// The owner of a cell. Its drop returns the cell; in a forked child it leaks a cell of the parent, where a
/// lock may be held by a thread that does not exist here.
pub struct OwnCell(&'static WakerCell);

impl OwnCell {
    /// A free cell. None if the system has no memory.
    pub fn take() -> Option<OwnCell> {
        let mut free = lock(&FREE);
        if free.is_none() {
            *free = WakerCell::map();
        }
        let cell = (*free)?;
        *free = cell.next.take();
        cell.epoch.store(fork_epoch(), Ordering::Relaxed);
        Some(OwnCell(cell))
    }

    pub fn cell(&self) -> &'static WakerCell {
        self.0
    }
}

impl Drop for OwnCell {
    fn drop(&mut self) {
        if self.0.epoch.load(Ordering::Relaxed) != fork_epoch() {
            return;
        }
        drop(self.0.task.take());
        let mut free = lock(&FREE);
        self.0.next.set(free.replace(self.0));
    }
}

impl WakerCell {
    /// Maps a page of cells, and links them.
    fn map() -> Option<&'static WakerCell> {
        const PAGE: usize = 4096;
        let access = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: maps new memory at an address that the kernel chooses.
        let page = unsafe { libc::mmap(ptr::null_mut(), PAGE, access, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return None;
        }
        let cells = page.cast::<WakerCell>();
        (0..PAGE / size_of::<WakerCell>())
            .rev()
            .fold(None, |next, i| {
                let cell = WakerCell {
                    wakeable: Wakeable { wake: cell_wake },
                    task: AtomicWaker::new(),
                    epoch: AtomicU32::new(0),
                    next: Cell::new(next),
                };
                // SAFETY: inside the page, which is aligned and not in use yet.
                unsafe {
                    cells.add(i).write(cell);
                    Some(&*cells.add(i))
                }
            })
    }

    /// Stores the tokio waker of the cell's task.
    pub fn register(&self, waker: &Waker) {
        self.task.register(waker);
    }

    /// The nart waker of the cell's task.
    pub fn nart_waker(&'static self) -> usize {
        ptr::from_ref(self).expose_provenance() | 1
    }
}
