// SPDX-License-Identifier: MIT OR Apache-2.0
//! The frame of a task on its way to another thread.

use std::alloc::{alloc, dealloc, Layout};
use std::ffi::c_void;
use std::ptr;

use crate::panic::catch_of;
use crate::sys::{errno, Res, TaskType};

/// A copy of a frame of C, which owns what the frame refers to.
pub(super) struct Frame {
    of: &'static TaskType,
    /// NULL: no frame was given.
    memory: *mut u8,
    layout: Layout,
}

// SAFETY: the caller of LoopHandle::spawn() promised that it may be used on another thread.
unsafe impl Send for Frame {}

impl Frame {
    /// None of it is the caller's afterwards.
    ///
    /// # Safety
    /// `init` is NULL or a frame of this type, which passed check().
    pub unsafe fn copy(of: &'static TaskType, init: *const c_void) -> Result<Frame, Res> {
        let layout = Layout::from_size_align(of.size.max(1) as usize, of.align as usize)
            .map_err(|_| errno(libc::EINVAL))?;
        let mut memory = ptr::null_mut();
        if !init.is_null() {
            // SAFETY: the layout's size is not zero; the caller's promise.
            unsafe {
                memory = alloc(layout);
                if memory.is_null() {
                    return Err(errno(libc::ENOMEM));
                }
                ptr::copy_nonoverlapping(init.cast::<u8>(), memory, of.size as usize);
            }
        }
        Ok(Frame { of, memory, layout })
    }

    /// The frame. NULL: none was given.
    pub fn bytes(&self) -> *const c_void {
        self.memory.cast()
    }

    /// Frees the memory only: somebody else owns what the frame refers to.
    pub fn moved(self) {
        let this = std::mem::ManuallyDrop::new(self);
        this.free();
    }

    fn free(&self) {
        if !self.memory.is_null() {
            // SAFETY: allocated with this layout, and not used any more.
            unsafe { dealloc(self.memory, self.layout) };
        }
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if let (Some(drop_frame), false) = (self.of.drop, self.memory.is_null()) {
            let memory = self.memory.cast();
            // SAFETY: it is a frame of this type, and owned.
            let call = || unsafe { drop_frame(memory) };
            let _ = catch_of(
                || "the drop of a task that was not spawned".to_owned(),
                call,
            );
        }
        self.free();
    }
}
