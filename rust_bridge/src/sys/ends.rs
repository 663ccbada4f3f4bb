// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ends of channels: what `bytes.h` declares.
//!
//! Their inline functions are not symbols. Those that wait count an answer of the poll and call a
//! slow path, which is complete; the others have an ordinary form in `detail/calls.h`.

use std::ffi::c_void;
use std::mem::{offset_of, size_of};

use super::{Cx, Res, Rt};

/// `nart_bytes_tx`. Zeroed = closed. Only C knows its contents.
#[repr(C)]
#[derive(Debug)]
pub struct NartBytesTx {
    private: [u64; 13],
}

/// `nart_bytes_rx`. Zeroed = closed. Only C knows its contents.
#[repr(C)]
#[derive(Debug)]
pub struct NartBytesRx {
    wait: [u64; 7],
    pub(crate) ring: *mut BytesRing,
    pos: u64,
    pub(crate) held: *const c_void,
    private: [u64; 3],
}

/// The begin of `nart__bytes_ring`, whose layout is frozen. It is written before the channel is
/// used.
#[repr(C)]
#[derive(Debug)]
pub struct BytesRing {
    private: [u64; 4],
    max_len: u32,
    mpsc: u8,
    pub(crate) spinning: u8,
}

const _: () = assert!(size_of::<NartBytesTx>() == 104 && size_of::<NartBytesRx>() == 104);
const _: () = assert!(offset_of!(NartBytesRx, ring) == 56 && offset_of!(NartBytesRx, held) == 72);
const _: () = assert!(offset_of!(BytesRing, spinning) == 37);
/// `nart_bytes_buf`, `nart_bytes_msg`.
#[repr(C)]
pub struct Slice {
    pub ptr: *mut u8,
    pub len: usize,
}

impl Slice {
    pub const EMPTY: Slice = Slice {
        ptr: std::ptr::null_mut(),
        len: 0,
    };
}

/// `nart_bytes_opts`.
#[repr(C)]
pub struct BytesOpts {
    pub size: usize,
    pub kind: u32,
    pub flags: u32,
    pub capacity: usize,
    pub max_len: usize,
}

const _: () = assert!(size_of::<BytesOpts>() == 32);

/// `NART_BYTES_SPSC`, `NART_BYTES_MPSC`.
pub const BYTES_SPSC: u32 = 1;
pub const BYTES_MPSC: u32 = 2;
/// `NART__BYTES_ABI`.
pub const BYTES_ABI: u32 = 1;

extern "C" {
    pub fn nart__bytes_open(
        rt: *mut Rt,
        opts: *const BytesOpts,
        abi: u32,
        tx: *mut NartBytesTx,
        rx: *mut NartBytesRx,
    ) -> Res;
    pub fn nart_bytes_tx_clone(tx: *const NartBytesTx, out: *mut NartBytesTx) -> Res;
    pub fn nart_bytes_tx_close(tx: *mut NartBytesTx);
    pub fn nart_bytes_tx_move(dst: *mut NartBytesTx, src: *mut NartBytesTx);
    pub fn nart_bytes_max_len(tx: *const NartBytesTx) -> usize;
    pub fn nart_bytes_tx_is_closed(tx: *const NartBytesTx) -> bool;
    pub fn nart__bytes_claim_slow(
        cx: *mut Cx,
        tx: *mut NartBytesTx,
        n: usize,
        buf: *mut Slice,
    ) -> Res;
    pub fn nart__bytes_try_claim_slow(tx: *mut NartBytesTx, n: usize, buf: *mut Slice) -> Res;
    pub fn nart_bytes_claim_blocking(
        tx: *mut NartBytesTx,
        n: usize,
        buf: *mut Slice,
        timeout_ns: i64,
    ) -> Res;
    pub fn nart__bytes_commit_call(tx: *mut NartBytesTx, buf: *mut Slice) -> Res;

    pub fn nart_bytes_rx_bind(rx: *mut NartBytesRx, rt: *mut Rt) -> Res;
    pub fn nart_bytes_rx_close(rx: *mut NartBytesRx);
    pub fn nart_bytes_rx_move(dst: *mut NartBytesRx, src: *mut NartBytesRx);
    pub fn nart_bytes_rx_shut(rx: *mut NartBytesRx);
    pub fn nart_bytes_rx_is_closed(rx: *const NartBytesRx) -> bool;
    pub fn nart__bytes_recv_slow(cx: *mut Cx, rx: *mut NartBytesRx, msg: *mut Slice) -> Res;
    pub fn nart__bytes_try_recv_slow(rx: *mut NartBytesRx, msg: *mut Slice) -> Res;
    pub fn nart_bytes_recv_blocking(rx: *mut NartBytesRx, msg: *mut Slice, timeout_ns: i64) -> Res;
    pub fn nart__bytes_release_call(rx: *mut NartBytesRx, msg: *mut Slice) -> Res;
}
