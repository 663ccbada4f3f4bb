// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rust makes a loop and a bridge on its own runtime, and passes both to C. Exits with 0 if all is right.

use std::time::Duration;

use nart_tokio::byte_channel::{NartBytesRx, NartBytesTx};
use nart_tokio::cancel::NartToken;
use nart_tokio::channel::{NartRx, NartTx};
use nart_tokio::oneshot::{NartOneshotRx, NartOneshotTx};
use nart_tokio::{
    BlockingFn, Bridge, Cx, DropFn, Error, Loop, LoopOptions, Name, NartTokio, NartTokioLocal,
    NartTokioOp, NartTokioOpts, NartTokioReport, NartWaker, Options, Res, Rt, Stop, TaskType,
    export,
};
#[cfg(feature = "http")]
use nart_tokio::{NartHttpClient, NartHttpOpts};

/// `struct pause` of hot.c.
#[repr(C)]
struct Pause {
    ns: i64,
    private: [u64; 7],
}
const _: () = assert!(size_of::<Pause>() == 64);

unsafe extern "C" {
    #[link_name = "pause_type"]
    static PAUSE: TaskType;

    // Not called: types that functions of C have as parameters are FFI-safe.
    #[allow(dead_code)]
    fn takes(op: *mut NartTokioOp, local: *mut NartTokioLocal, cx: *mut Cx, waker: NartWaker);
    #[allow(dead_code)]
    fn takes_ends(rx: *mut NartRx, tx: *mut NartTx, rx: *mut NartBytesRx, tx: *mut NartBytesTx);
    #[allow(dead_code)]
    fn takes_more(rx: *mut NartOneshotRx, tx: *mut NartOneshotTx, token: *mut NartToken);
    #[allow(dead_code)]
    fn takes_options(of: *const NartTokioOpts, report: *mut NartTokioReport);
    #[allow(dead_code)]
    fn takes_a_function(name: *const Name, run: BlockingFn, drop_arg: DropFn, stop: *const Stop);
    #[cfg(feature = "http")]
    #[allow(dead_code)]
    fn takes_http(client: *mut NartHttpClient, opts: *const NartHttpOpts);

    fn hot_spawn(rt: *mut Rt, tokio: *mut NartTokio, sum: *mut i64) -> Res;
}

/// # Safety
/// As of [`export`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn program_double(
    tokio: *mut NartTokio,
    number: i64,
    op: *mut NartTokioOp,
) -> Res {
    let twice = async move {
        tokio::time::sleep(Duration::from_micros(1)).await;
        number * 2
    };
    // SAFETY: the caller's promises.
    unsafe { export(tokio, op, || twice) }
}

async fn run() -> Result<(), Error> {
    let bridge = Bridge::adopt(tokio::runtime::Handle::current(), &Options::new())?;
    let hot = Loop::new(LoopOptions::new().name("hot"))?;

    let pause = Pause {
        ns: 1_000_000,
        private: [0; 7],
    };
    // SAFETY: the type is constant, and the frame is one of `struct pause`.
    let task = unsafe { hot.spawn(&PAUSE, (&raw const pause).cast()) }?;
    assert_eq!(hot.run_until(task).await??, 1_000_000);

    let mut sum = 0;
    // SAFETY: the loop and the bridge are of this thread and live; the sum, until the loop has ended.
    assert_eq!(
        unsafe { hot_spawn(hot.as_c(), bridge.as_c(), &raw mut sum) },
        0
    );
    hot.drive().await?;
    assert_eq!(sum, 110);

    hot.shutdown(Duration::from_secs(300)).await?;
    bridge.shutdown_async(Duration::from_secs(300)).await
}

fn main() -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run())
}
