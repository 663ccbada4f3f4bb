// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frame of a C task in the block of its operation, until the task has answered; on the heap if it is
//! large.

use std::alloc::{alloc, dealloc, Layout};
use std::ffi::c_void;
use std::ptr;

use super::place::{fits, Place, Placed};
use super::{Blank, Promise};
use crate::sys::{errno, Res, TaskType};

/// A C task that has not begun.
pub(crate) struct Frame {
    pub ty: *const TaskType,
    pub frame: *mut c_void,
}

fn layout_of(ty: &TaskType) -> Option<Layout> {
    Layout::from_size_align((ty.size as usize).max(1), ty.align as usize).ok() // never empty
}

impl Blank<'_> {
    /// Copies a frame into the block; NULL: zeros. Errors: -EINVAL the alignment; -E2BIG; -ENOMEM.
    ///
    /// # Safety
    /// `ty` outlives the operation; `init` is NULL or a frame of it.
    pub unsafe fn put_frame(&self, ty: &TaskType, init: *const c_void) -> Result<(), Res> {
        if !(ty.align as usize).is_power_of_two() {
            return Err(errno(libc::EINVAL));
        }
        let layout = layout_of(ty).ok_or(errno(libc::E2BIG))?;
        let place = &self.op().place;
        // SAFETY: the block has no other owner; the layout is not empty; `frame` has room for a frame of the type.
        unsafe {
            let mut frame = place.room.get().cast::<u8>();
            if !fits(layout) {
                frame = alloc(layout);
                if frame.is_null() {
                    return Err(errno(libc::ENOMEM));
                }
                place.room.get().cast::<*mut u8>().write(frame);
            }
            *place.placed.get() = Placed::Frame(ty);
            if init.is_null() {
                frame.write_bytes(0, ty.size as usize);
            } else {
                ptr::copy_nonoverlapping(init.cast::<u8>(), frame, ty.size as usize);
            }
        }
        Ok(())
    }
}

impl Place {
    /// Where a frame of this type lies.
    fn frame(&self, ty: &TaskType) -> *mut u8 {
        let room = self.room.get();
        match layout_of(ty) {
            // SAFETY: put_frame() has stored the pointer.
            Some(layout) if !fits(layout) => unsafe { room.cast::<*mut u8>().read() },
            _ => room.cast(),
        }
    }

    /// Frees the memory of the frame, if there is one. Its contents have been dropped, or remain the
    /// submitter's.
    pub(super) fn free_frame(&self) {
        // SAFETY: the caller is the only one that accesses the cells; the type is alive.
        unsafe {
            let Placed::Frame(ty) = *self.placed.get() else {
                return;
            };
            *self.placed.get() = Placed::Nothing;
            if let Some(layout) = layout_of(&*ty).filter(|layout| !fits(*layout)) {
                dealloc(self.frame(&*ty), layout);
            }
        }
    }
}

impl Promise {
    /// Whether its work is a C task that has not answered.
    pub fn has_frame(&self) -> bool {
        // SAFETY: only the promise accesses the cell.
        matches!(unsafe { *self.op().place.placed.get() }, Placed::Frame(_))
    }

    pub fn frame(&self) -> Option<Frame> {
        let place = &self.op().place;
        // SAFETY: only the promise accesses the cells; the type is alive.
        unsafe {
            match *place.placed.get() {
                Placed::Frame(ty) => Some(Frame {
                    ty,
                    frame: place.frame(&*ty).cast(),
                }),
                _ => None,
            }
        }
    }

    /// Frees the memory of a frame that has been dropped.
    pub fn free_frame(&mut self) {
        self.op().place.free_frame();
    }
}
