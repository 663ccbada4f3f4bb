// SPDX-License-Identifier: MIT OR Apache-2.0
//! The ends of channels, and tokens: what `chan.h`, `bytes.h`, `oneshot.h` and `cancel.h` declare.
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
    wait: Wait,
    ring: *mut BytesRing,
    seen: u64,
    at: u64,
    /// Of the open claim; 0: there is none.
    pub(crate) size: u32,
    private: [u32; 5],
}

/// `nart__wait`.
#[repr(C)]
#[derive(Debug)]
struct Wait {
    queue: [*const c_void; 2],
    task: *const c_void,
    private: [u64; 4],
}

impl NartBytesTx {
    /// A task waits in it.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.wait.task.is_null()
    }
}

impl NartTx {
    /// A task waits in it.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.wait.task.is_null()
    }
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
    pub(crate) max_len: u32,
    mpsc: u8,
    pub(crate) spinning: u8,
}

/// `nart_tx`. Zeroed = closed. Only C knows its contents.
#[repr(C)]
#[derive(Debug)]
pub struct NartTx {
    wait: Wait,
    pub(crate) ring: *mut c_void,
    /// Of the values: their size, the flags and the kind of the channel.
    pub(crate) kind: u64,
    private: [u64; 3],
}

/// `nart_rx`. Zeroed = closed. Only C knows its contents.
#[repr(C)]
#[derive(Debug)]
pub struct NartRx {
    wait: [u64; 7],
    pub(crate) ring: *mut c_void,
    /// Of the values: their size, the flags and the kind of the channel.
    pub(crate) kind: u64,
    private: [u64; 3],
}

/// `nart_oneshot_tx`. Zeroed = closed. Only C knows its contents.
#[repr(C)]
#[derive(Debug)]
pub struct NartOneshotTx {
    pub(crate) shared: *mut c_void,
    /// The receiver, if the ends are linked.
    pub(crate) linked: *mut c_void,
}

/// `nart_oneshot_rx`. Zeroed = closed. Only C knows its contents.
#[repr(C)]
#[derive(Debug)]
pub struct NartOneshotRx {
    wait: [u64; 7],
    pub(crate) shared: *mut c_void,
    pub(crate) linked: *mut c_void,
    private: [u64; 3],
    pub(crate) sent: u64,
}

/// `nart_token`. Zeroed = empty.
#[repr(C)]
#[derive(Debug)]
pub struct NartToken {
    pub(crate) node: *mut c_void,
}

impl NartOneshotTx {
    pub(crate) const CLOSED: NartOneshotTx = NartOneshotTx {
        shared: std::ptr::null_mut(),
        linked: std::ptr::null_mut(),
    };
}

impl NartToken {
    pub(crate) const EMPTY: NartToken = NartToken {
        node: std::ptr::null_mut(),
    };
}

const _: () = assert!(size_of::<NartBytesTx>() == 104 && size_of::<NartBytesRx>() == 104);
const _: () = assert!(offset_of!(NartBytesRx, ring) == 56 && offset_of!(NartBytesRx, held) == 72);
const _: () = assert!(offset_of!(BytesRing, spinning) == 37);
const _: () = assert!(size_of::<NartTx>() == 96 && offset_of!(NartTx, kind) == 64);
const _: () = assert!(size_of::<NartRx>() == 96 && offset_of!(NartRx, kind) == 64);

const _: () = assert!(size_of::<NartOneshotTx>() == 16 && offset_of!(NartOneshotTx, linked) == 8);
const _: () = assert!(size_of::<NartOneshotRx>() == 104 && offset_of!(NartOneshotRx, sent) == 96);
const _: () = assert!(offset_of!(NartOneshotRx, shared) == 56);
const _: () = assert!(size_of::<NartToken>() == 8 && size_of::<Waiter>() == 72);

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

/// `nart_chan_opts`.
#[repr(C)]
pub struct ChanOpts {
    pub size: usize,
    pub kind: u32,
    pub flags: u32,
    pub elem: usize,
    pub capacity: usize,
    pub drop_value: Option<unsafe extern "C" fn(value: *mut c_void)>,
}

const _: () = assert!(size_of::<BytesOpts>() == 32 && size_of::<ChanOpts>() == 40);

/// `nart_waiter`.
#[repr(C)]
pub struct Waiter {
    private: [u64; 9],
}

impl Waiter {
    pub const IDLE: Waiter = Waiter { private: [0; 9] };
}

/// `NART_CHAN_SPSC`, `NART_CHAN_MPSC`; `NART_BYTES_SPSC`, `NART_BYTES_MPSC`.
pub const CHAN_SPSC: u32 = 2;
pub const CHAN_MPSC: u32 = 3;
pub const BYTES_SPSC: u32 = 1;
pub const BYTES_MPSC: u32 = 2;
/// `NART__RING_ABI`, `NART__BYTES_ABI`.
pub const RING_ABI: u32 = 1;
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

    pub fn nart__chan_open(
        rt: *mut Rt,
        opts: *const ChanOpts,
        abi: u32,
        tx: *mut NartTx,
        rx: *mut NartRx,
    ) -> Res;
    pub fn nart_tx_clone(tx: *const NartTx, out: *mut NartTx) -> Res;
    pub fn nart_tx_close(tx: *mut NartTx);
    pub fn nart_tx_move(dst: *mut NartTx, src: *mut NartTx);
    pub fn nart_tx_len(tx: *const NartTx) -> usize;
    pub fn nart_tx_capacity(tx: *const NartTx) -> usize;
    pub fn nart_tx_is_closed(tx: *const NartTx) -> bool;
    pub fn nart__send_slow(cx: *mut Cx, tx: *mut NartTx, value: *const c_void, elem: usize) -> Res;
    pub fn nart__try_send_slow(tx: *mut NartTx, value: *const c_void, elem: usize) -> Res;
    pub fn nart_send_blocking(tx: *mut NartTx, value: *const c_void, timeout_ns: i64) -> Res;

    pub fn nart_rx_bind(rx: *mut NartRx, rt: *mut Rt) -> Res;
    pub fn nart_rx_close(rx: *mut NartRx);
    pub fn nart_rx_move(dst: *mut NartRx, src: *mut NartRx);
    pub fn nart_rx_shut(rx: *mut NartRx);
    pub fn nart_rx_len(rx: *const NartRx) -> usize;
    pub fn nart_rx_is_closed(rx: *const NartRx) -> bool;
    pub fn nart__recv_slow(cx: *mut Cx, rx: *mut NartRx, value: *mut c_void, elem: usize) -> Res;
    pub fn nart__try_recv_slow(rx: *mut NartRx, value: *mut c_void, elem: usize) -> Res;
    pub fn nart_recv_blocking(rx: *mut NartRx, value: *mut c_void, timeout_ns: i64) -> Res;

    pub fn nart_oneshot_open(
        rt: *mut Rt,
        size: usize,
        drop_value: Option<unsafe extern "C" fn(value: *mut c_void)>,
        tx: *mut NartOneshotTx,
        rx: *mut NartOneshotRx,
    ) -> Res;
    pub fn nart_oneshot_send(tx: *mut NartOneshotTx, value: *const c_void) -> Res;
    pub fn nart_oneshot_tx_is_closed(tx: *const NartOneshotTx) -> bool;
    pub fn nart_oneshot_tx_close(tx: *mut NartOneshotTx);
    pub fn nart_oneshot_recv(cx: *mut Cx, rx: *mut NartOneshotRx, value: *mut c_void) -> Res;
    pub fn nart_oneshot_try_recv(rx: *mut NartOneshotRx, value: *mut c_void) -> Res;
    pub fn nart_oneshot_rx_close(rx: *mut NartOneshotRx);
    pub fn nart_oneshot_rx_move(dst: *mut NartOneshotRx, src: *mut NartOneshotRx);

    pub fn nart_token_new(rt: *mut Rt, out: *mut NartToken) -> Res;
    pub fn nart_token_child(t: *const NartToken, out: *mut NartToken) -> Res;
    pub fn nart_token_child_on(t: *const NartToken, rt: *mut Rt, out: *mut NartToken) -> Res;
    pub fn nart_token_clone(t: *const NartToken, out: *mut NartToken);
    pub fn nart_token_release(t: *mut NartToken);
    pub fn nart_token_cancel(t: *const NartToken);
    pub fn nart_token_await(cx: *mut Cx, t: *const NartToken, w: *mut Waiter) -> Res;
}
