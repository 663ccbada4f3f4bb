// SPDX-License-Identifier: MIT OR Apache-2.0
//! What tls/session.rs uses of `net.h`.

use std::ffi::{c_int, c_void};
use std::mem::size_of;

use super::{Cx, Driver, Res};

/// `nart_tcp`. Zeroed = closed.
#[repr(C)]
#[derive(Debug)]
pub struct NartTcp {
    drv: *const Driver,
    host: *mut c_void,
    id: u64,
    fd: c_int,
    state: u32,
    reserved: [u64; 4],
}

const _: () = assert!(size_of::<NartTcp>() == 64);

impl NartTcp {
    pub const CLOSED: NartTcp = NartTcp {
        drv: std::ptr::null(),
        host: std::ptr::null_mut(),
        id: 0,
        fd: 0,
        state: 0,
        reserved: [0; 4],
    };

    /// Whether it belongs to the driver that polls.
    ///
    /// # Safety
    /// `cx` is the running poll's.
    pub unsafe fn is_under(&self, cx: *const Cx) -> bool {
        // SAFETY: the caller's promise.
        unsafe { self.drv == (*cx).drv && self.host == (*cx).host }
    }

    /// Ends the waits of another task in it, and wakes that.
    ///
    /// # Safety
    /// It is a handle that is closed or was opened by C, and this is its thread.
    pub unsafe fn wake(&self) {
        // SAFETY: a driver is constant; the caller's promise.
        unsafe {
            if let Some(drv) = self.drv.as_ref() {
                let _ = (drv.io_wake)(self.host, self.id);
            }
        }
    }
}

extern "C" {
    pub fn nart_tcp_recv(cx: *mut Cx, s: *mut NartTcp, buf: *mut c_void, len: usize) -> Res;
    pub fn nart_tcp_send(cx: *mut Cx, s: *mut NartTcp, buf: *const c_void, len: usize) -> Res;
    pub fn nart_tcp_fd(s: *const NartTcp) -> Res;
    pub fn nart_tcp_move(dst: *mut NartTcp, src: *mut NartTcp);
    pub fn nart_tcp_close(s: *mut NartTcp) -> Res;
}
