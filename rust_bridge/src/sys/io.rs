// SPDX-License-Identifier: MIT OR Apache-2.0
//! What io.rs uses of `io.h` and `driver.h`.

use std::ffi::{c_char, c_void};
use std::fmt;
use std::mem::{offset_of, size_of};

use super::{Cx, Res};

/// `NART_READ`.
pub const READ: u32 = 1;
/// `NART_WRITE`.
pub const WRITE: u32 = 2;
/// `NART_ERROR`.
pub const ERROR: u32 = 4;
/// `NART_HANGUP`.
pub const HANGUP: u32 = 8;
/// `NART_RDHUP`.
pub const RDHUP: u32 = 16;
/// `NART_PRI`.
pub const PRI: u32 = 32;

/// `nart_driver_io`.
#[repr(C)]
#[derive(Default)]
pub struct DriverIo {
    opaque: [u64; 16],
}

/// `nart_addr`.
#[repr(C)]
pub struct NartAddr {
    storage: libc::sockaddr_storage,
    len: libc::socklen_t,
}

impl fmt::Debug for NartAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NartAddr").finish_non_exhaustive()
    }
}

const _: () = assert!(size_of::<NartAddr>() == 136 && offset_of!(NartAddr, len) == 128);

extern "C" {
    pub fn nart_addr_parse(out: *mut NartAddr, text: *const c_char) -> Res;

    pub fn nart_driver_sys() -> *const c_void;
    pub fn nart_driver_io_init(io: *mut DriverIo);
    pub fn nart_driver_io_ready(io: *const DriverIo) -> u32;
    pub fn nart_driver_io_set(io: *mut DriverIo, bits: u32);
    pub fn nart_driver_io_clear(io: *mut DriverIo, bits: u32);
    pub fn nart_driver_io_taken(io: *const DriverIo, dirs: u32, cx: *const Cx) -> bool;
    pub fn nart_driver_io_want(io: *mut DriverIo, dirs: u32, cx: *mut Cx) -> Res;
    pub fn nart_driver_io_unwait(io: *mut DriverIo, dirs: u32, cx: *const Cx);
    pub fn nart_driver_io_stay(io: *mut DriverIo, dirs: u32, cx: *const Cx);
    pub fn nart_driver_io_part(io: *mut DriverIo) -> bool;
}
