// SPDX-License-Identifier: MIT OR Apache-2.0
//! Hand-written declarations of `detail/trace.h`.

use std::ffi::{c_char, c_void};
use std::mem::{offset_of, size_of};

use super::{Res, Rt};

/// `NART__TRACE_SUBMIT`
pub const SUBMIT: u32 = 0;
/// `NART__TRACE_ANSWER`
pub const ANSWER: u32 = 1;

/// `NART__TRACE_THREAD`
pub const THREAD: u32 = 0;
/// `NART__TRACE_SLICE`
pub const SLICE: u32 = 1;
/// `NART__TRACE_ARROW_BEGINS`
pub const ARROW_BEGINS: u32 = 2;
/// `NART__TRACE_ARROW_ENDS`
pub const ARROW_ENDS: u32 = 3;

/// `nart__trace_item`
#[repr(C)]
pub struct Item {
    pub what: u32,
    pub arrow: u32,
    pub flow: u64,
    pub at: i64,
    pub took: i64,
    pub thread: u32,
    pub name: *const c_char,
    pub name_len: usize,
}

impl Item {
    /// It refers to `name`.
    pub fn of(what: u32, thread: i32, name: &str) -> Item {
        Item {
            what,
            arrow: 0,
            flow: 0,
            at: 0,
            took: 0,
            thread: thread as u32,
            name: name.as_ptr().cast(),
            name_len: name.len(),
        }
    }
}

const _: () =
    assert!(offset_of!(Item, thread) == 32 && size_of::<Item>() == 40 + 2 * size_of::<usize>());

/// `nart__trace_guest`
#[repr(C)]
pub struct Guest {
    pub next: *mut Guest,
    pub trace: *mut c_void,
    pub name: *const c_char,
    pub open: unsafe extern "C" fn(*mut Guest) -> u64,
    pub begins: unsafe extern "C" fn(*mut Guest, arrow: u32, flow: u64) -> bool,
    pub begun: unsafe extern "C" fn(*mut Guest, arrow: u32, flow: u64),
    pub item: unsafe extern "C" fn(*mut Guest, out: *mut Item) -> bool,
    pub leave: unsafe extern "C" fn(*mut Guest),
}

const _: () = assert!(offset_of!(Guest, leave) == 7 * size_of::<usize>());

extern "C" {
    pub fn nart__trace_join(rt: *mut Rt, guest: *mut Guest) -> Res;
    pub fn nart__trace_arrow(guest: *mut Guest, arrow: u32, begins: bool, flow: u64);
}
