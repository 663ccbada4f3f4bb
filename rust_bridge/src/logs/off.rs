// SPDX-License-Identifier: MIT OR Apache-2.0
//! Instead of logs.rs in builds without the feature `log`: no log can be opened.

use std::ptr::NonNull;

use crate::ffi::NartTokioLogEvent;
use crate::sys::{errno, Poll, Res};

pub enum Log {}

impl Log {
    pub fn open(_filter: &str, _queue: u32) -> Result<NonNull<Log>, Res> {
        Err(errno(libc::EOPNOTSUPP))
    }

    pub unsafe fn read(&self) -> Res {
        match *self {}
    }

    pub unsafe fn read_or_wait(&self, _poll: Poll) -> Res {
        match *self {}
    }

    pub unsafe fn last(&self) -> *const NartTokioLogEvent {
        match *self {}
    }

    pub unsafe fn close(_log: NonNull<Log>) -> u64 {
        0
    }
}
