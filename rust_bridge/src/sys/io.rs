// SPDX-License-Identifier: MIT OR Apache-2.0
//! What io.rs uses of `io.h` and `driver.h`.

use std::ffi::c_void;

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

extern "C" {
    pub fn nart_driver_sys() -> *const c_void;
    pub fn nart_driver_io_init(io: *mut DriverIo);
    pub fn nart_driver_io_ready(io: *const DriverIo) -> u32;
    pub fn nart_driver_io_set(io: *mut DriverIo, bits: u32);
    pub fn nart_driver_io_clear(io: *mut DriverIo, bits: u32);
    pub fn nart_driver_io_want(io: *mut DriverIo, dirs: u32, cx: *mut Cx) -> Res;
    pub fn nart_driver_io_unwait(io: *mut DriverIo, dirs: u32, cx: *const Cx);
    pub fn nart_driver_io_stay(io: *mut DriverIo, dirs: u32, cx: *const Cx);
    pub fn nart_driver_io_part(io: *mut DriverIo) -> bool;
}
