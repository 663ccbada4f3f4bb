// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge, and futures for its tests. futures.h describes each.

#[path = "../../../bench/futures/src/lib.rs"]
pub mod bench;
mod byte_ends;
#[cfg(feature = "http")]
mod certs;
mod ends;
mod objects;
#[cfg(feature = "http")]
mod tls;
#[cfg(feature = "ws")]
mod ws;

use std::ffi::c_void;
use std::future::{pending, poll_fn, Future};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{mpsc, Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::Notify;

pub use nart_tokio::*;

fn errno(e: i32) -> Res {
    -Res::from(e)
}

// ---- what has been dropped ----

static DROPS: AtomicU64 = AtomicU64::new(0);

#[no_mangle]
pub extern "C" fn test_drops() -> u64 {
    DROPS.load(SeqCst)
}

struct CountsDrop;

impl Drop for CountsDrop {
    fn drop(&mut self) {
        DROPS.fetch_add(1, SeqCst);
    }
}

/// Counts only inside tokio's context, which tokio's objects need.
struct CountsDropInContext;

impl Drop for CountsDropInContext {
    fn drop(&mut self) {
        if tokio::runtime::Handle::try_current().is_ok() {
            drop(CountsDrop);
        }
    }
}

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("in drop");
    }
}

struct PayloadPanics;

impl Drop for PayloadPanics {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in the payload's drop");
        }
    }
}

// ---- operations ----

#[no_mangle]
pub unsafe extern "C" fn test_value(rt: *mut NartTokio, value: i64, op: *mut NartTokioOp) -> Res {
    // SAFETY: the test's promises.
    unsafe { export(rt, op, || async move { value }) }
}

#[no_mangle]
pub unsafe extern "C" fn test_error(rt: *mut NartTokio, code: Res, op: *mut NartTokioOp) -> Res {
    // SAFETY: the test's promises.
    unsafe { export(rt, op, || async move { Outcome::error(code, "told so") }) }
}

#[no_mangle]
pub unsafe extern "C" fn test_io_error(rt: *mut NartTokio, op: *mut NartTokioOp) -> Res {
    let fails = || async { Err::<i64, _>(io::Error::from_raw_os_error(libc::ENOENT)) };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, fails) }
}

#[no_mangle]
pub unsafe extern "C" fn test_bytes(rt: *mut NartTokio, n: usize, op: *mut NartTokioOp) -> Res {
    let bytes = || async move { Outcome::value_with(n as i64, vec![b'x'; n]) };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, bytes) }
}

#[no_mangle]
pub unsafe extern "C" fn test_never(rt: *mut NartTokio, op: *mut NartTokioOp) -> Res {
    let never = || async {
        let _counts = CountsDrop;
        pending::<i64>().await
    };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, never) }
}

#[no_mangle]
pub unsafe extern "C" fn test_sleep(rt: *mut NartTokio, ms: u64, op: *mut NartTokioOp) -> Res {
    let sleep = || async move {
        tokio::time::sleep(Duration::from_millis(ms)).await;
        ms as i64
    };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, sleep) }
}

/// Ends with 7 if `data` is where its type demands it, before and after a yield.
async fn keeps<T: Send + 'static>(data: T) -> i64 {
    let aligned = |data: &T| (std::ptr::from_ref(data).addr() % align_of::<T>() == 0) as i64;
    let before = aligned(&data);
    tokio::task::yield_now().await;
    3 * before + 4 * aligned(&data)
}

/// Futures of 200, 300 and 20,000 bytes, and one that is aligned to 128.
#[no_mangle]
pub unsafe extern "C" fn test_large(rt: *mut NartTokio, kind: u32, op: *mut NartTokioOp) -> Res {
    #[repr(align(128))]
    struct Aligned;
    // SAFETY: the test's promises.
    unsafe {
        match kind {
            0 => export(rt, op, || keeps([0_u8; 200])),
            1 => export(rt, op, || keeps([0_u8; 300])),
            2 => export(rt, op, || keeps([0_u8; 20_000])),
            _ => export(rt, op, || keeps(Aligned)),
        }
    }
}

#[no_mangle]
pub unsafe extern "C" fn test_yield(rt: *mut NartTokio, n: u64, op: *mut NartTokioOp) -> Res {
    let yields = || async move {
        let _counts = CountsDrop;
        for _ in 0..n {
            tokio::task::yield_now().await;
        }
        n as i64
    };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, yields) }
}

/// Blocks a worker until the test releases it.
#[no_mangle]
pub unsafe extern "C" fn test_block_worker(
    rt: *mut NartTokio,
    gate: *const AtomicU64,
    op: *mut NartTokioOp,
) -> Res {
    let gate = gate as usize;
    let blocks = move || async move {
        // SAFETY: the test's gate is static.
        let gate = unsafe { &*(gate as *const AtomicU64) };
        gate.fetch_add(1, SeqCst);
        while gate.load(SeqCst) < 2 {
            std::thread::sleep(Duration::from_micros(100));
        }
        0
    };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, blocks) }
}

/// A closure in tokio's blocking pool that is not awaited.
#[no_mangle]
pub unsafe extern "C" fn test_closure(
    rt: *mut NartTokio,
    gate: *const AtomicU64,
    op: *mut NartTokioOp,
) -> Res {
    let gate = gate as usize;
    let blocks = move || {
        // SAFETY: the test's gate is static.
        let gate = unsafe { &*(gate as *const AtomicU64) };
        gate.fetch_add(1, SeqCst);
        while gate.load(SeqCst) < 2 {
            std::thread::sleep(Duration::from_micros(100));
        }
    };
    let give = move || async move {
        drop(tokio::task::spawn_blocking(blocks));
        0
    };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, give) }
}

static HELD: Mutex<()> = Mutex::new(());

#[no_mangle]
pub unsafe extern "C" fn test_wakes_in_drop(
    rt: *mut NartTokio,
    waker: NartWaker,
    op: *mut NartTokioOp,
) -> Res {
    struct Wakes(NartWaker);
    impl Drop for Wakes {
        fn drop(&mut self) {
            let _held = HELD.lock().expect("nobody panics with it");
            self.0.wake();
            std::thread::yield_now(); // so that the woken task may run first
        }
    }
    let never = || async move {
        let _wakes = Wakes(waker);
        pending::<i64>().await
    };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, never) }
}

/// Locks the mutex. False if it is poisoned.
#[no_mangle]
pub extern "C" fn test_lock_in_drop() -> bool {
    HELD.lock().is_ok()
}

// ---- panics ----

async fn panics(kind: u32) -> i64 {
    match kind {
        0 => panic!("plain"),
        1 => panic!("number {kind}"),
        2 => std::panic::panic_any(42_u8),
        3 => std::panic::panic_any(PayloadPanics),
        4 => {
            let _guard = PanicsInDrop;
            pending().await
        }
        _ => {
            let _guard = PanicsInDrop;
            7
        }
    }
}

#[no_mangle]
pub unsafe extern "C" fn test_panic(rt: *mut NartTokio, kind: u32, op: *mut NartTokioOp) -> Res {
    // SAFETY: the test's promises.
    unsafe { export(rt, op, || panics(kind)) }
}

#[no_mangle]
pub unsafe extern "C-unwind" fn test_panicking_job(_: *mut c_void, _: *const Stop) -> Res {
    panic!("in the job")
}

#[no_mangle]
pub unsafe extern "C-unwind" fn test_panicking_poll(_: *mut Cx, _: *mut c_void) -> Res {
    panic!("in the poll")
}

#[no_mangle]
pub unsafe extern "C-unwind" fn test_panicking_drop(_: *mut c_void) {
    drop(CountsDrop);
    panic!("in the drop")
}

/// The panic is in the function that makes the future, on the calling thread.
#[no_mangle]
pub unsafe extern "C" fn test_panic_early(rt: *mut NartTokio, op: *mut NartTokioOp) -> Res {
    let make = || -> std::future::Ready<i64> { panic!("early") };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, make) }
}

// ---- local futures ----

unsafe fn local<F>(rt: *mut NartTokio, out: *mut NartTokioLocal, future: F) -> Res
where
    F: Future + 'static,
    F::Output: Into<Outcome>,
{
    // SAFETY: the test's promises.
    unsafe {
        let Some(bridge) = Bridge::from_c(rt) else {
            return errno(libc::EINVAL);
        };
        out.write(bridge.local(future).into_c());
    }
    0
}

#[no_mangle]
pub unsafe extern "C" fn test_local_sleep(
    rt: *mut NartTokio,
    ms: u64,
    out: *mut NartTokioLocal,
) -> Res {
    let sleep = async move {
        let _counts = CountsDropInContext;
        tokio::time::sleep(Duration::from_millis(ms)).await;
        ms as i64
    };
    // SAFETY: the test's promises.
    unsafe { local(rt, out, sleep) }
}

/// `Bridge::running()`.
#[no_mangle]
pub unsafe extern "C" fn test_running(rt: *mut NartTokio) -> u64 {
    // SAFETY: the test's promise.
    unsafe { Bridge::from_c(rt) }.map_or(0, Bridge::running)
}

/// Never ends, and is never woken.
#[no_mangle]
pub unsafe extern "C" fn test_local_pending(rt: *mut NartTokio, out: *mut NartTokioLocal) -> Res {
    let never = async move {
        let _counts = CountsDropInContext;
        pending::<i64>().await
    };
    // SAFETY: the test's promises.
    unsafe { local(rt, out, never) }
}

#[no_mangle]
pub unsafe extern "C" fn test_local_panic(
    rt: *mut NartTokio,
    kind: u32,
    out: *mut NartTokioLocal,
) -> Res {
    // SAFETY: the test's promises.
    unsafe { local(rt, out, panics(kind)) }
}

/// Always ready while `*go` is set: without a budget its poll would not return.
#[no_mangle]
pub unsafe extern "C" fn test_local_hog(
    rt: *mut NartTokio,
    go: *const AtomicU64,
    out: *mut NartTokioLocal,
) -> Res {
    let (send, mut receive) = tokio::sync::mpsc::unbounded_channel::<()>();
    // SAFETY: the test's flag is static.
    let go = unsafe { &*go };
    let hog = async move {
        let mut n = 0;
        while go.load(SeqCst) != 0 {
            let _ = send.send(());
            receive.recv().await;
            n += 1;
        }
        n
    };
    // SAFETY: the test's promises.
    unsafe { local(rt, out, hog) }
}

/// n round trips between the loop and a worker.
#[no_mangle]
pub unsafe extern "C" fn test_local_ping_pong(
    rt: *mut NartTokio,
    n: u64,
    out: *mut NartTokioLocal,
) -> Res {
    let (ping, pong) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (theirs, back) = (ping.clone(), pong.clone());
    // SAFETY: the test's promises.
    let Some(bridge) = (unsafe { Bridge::from_c(rt) }) else {
        return errno(libc::EINVAL);
    };
    let other = async move {
        for _ in 0..n {
            theirs.notified().await;
            back.notify_one();
        }
    };
    // Continues after its handle is detached.
    let Ok(operation) = bridge.spawn(other) else {
        return errno(libc::EAGAIN);
    };
    let mut c = operation.into_c();
    // SAFETY: it is open, and not used again.
    unsafe { nart_tokio_op_detach(&mut c) };
    let here = async move {
        for _ in 0..n {
            ping.notify_one();
            pong.notified().await;
        }
        n as i64
    };
    // SAFETY: the test's promises.
    unsafe { local(rt, out, here) }
}

/// Writes with writev to a peer at this port until that fails.
async fn writes(port: u16) -> io::Result<i64> {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
    let piece = io::IoSlice::new(&[b'x'; 1000]);
    loop {
        stream.writable().await?;
        match stream.try_write_vectored(&[piece, piece]) {
            Err(e) if e.raw_os_error() == Some(libc::EPIPE) => return Err(e),
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

#[no_mangle]
pub unsafe extern "C" fn test_writev(rt: *mut NartTokio, port: u16, op: *mut NartTokioOp) -> Res {
    // SAFETY: the test's promises.
    unsafe { export(rt, op, || writes(port)) }
}

#[no_mangle]
pub unsafe extern "C" fn test_local_writev(
    rt: *mut NartTokio,
    port: u16,
    out: *mut NartTokioLocal,
) -> Res {
    // SAFETY: the test's promises.
    unsafe { local(rt, out, writes(port)) }
}

/// When dropped, holds a mutex and wakes a task with a Notify.
#[no_mangle]
pub unsafe extern "C" fn test_local_wakes_in_drop(
    rt: *mut NartTokio,
    turns: *const AtomicU64,
    out: *mut NartTokioLocal,
) -> Res {
    struct Wakes(std::task::Waker);
    impl Drop for Wakes {
        fn drop(&mut self) {
            static HELD: std::sync::Mutex<()> = std::sync::Mutex::new(());
            let _held = HELD
                .try_lock()
                .expect("a wake ran the task inside the drop");
            self.0.wake_by_ref();
        }
    }
    // SAFETY: the test's counter is static.
    let turns = unsafe { &*turns };
    let wakes = poll_fn(move |cx| {
        let _wakes = Wakes(cx.waker().clone());
        if turns.fetch_add(1, SeqCst) < 100 {
            Poll::Pending
        } else {
            Poll::Ready(100)
        }
    });
    // SAFETY: the test's promises.
    unsafe { local(rt, out, wakes) }
}

// ---- other runtimes ----

fn runtime(multi: bool) -> Runtime {
    let mut builder = if multi {
        Builder::new_multi_thread()
    } else {
        Builder::new_current_thread()
    };
    builder
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Calls `f(arg)` inside block_on of a runtime of its own.
#[no_mangle]
pub unsafe extern "C" fn test_inside_runtime(
    multi: bool,
    f: unsafe extern "C" fn(*mut c_void),
    arg: *mut c_void,
) {
    // SAFETY: the test's promises.
    runtime(multi).block_on(async { unsafe { f(arg) } });
}

struct Adopted {
    runtime: Option<Runtime>,
}

/// A bridge on a runtime that the test owns.
#[no_mangle]
pub unsafe extern "C" fn test_adopt(out: *mut *mut c_void, rt: *mut *mut NartTokio) -> Res {
    let runtime = runtime(true);
    match Bridge::adopt(runtime.handle().clone(), &Options::default()) {
        Ok(bridge) => {
            // SAFETY: the test's promises.
            unsafe {
                rt.write(bridge.into_c());
                out.write(
                    Box::into_raw(Box::new(Adopted {
                        runtime: Some(runtime),
                    }))
                    .cast(),
                );
            }
            0
        }
        Err(error) => error.code(),
    }
}

/// Ends that runtime.
#[no_mangle]
pub unsafe extern "C" fn test_adopt_end(adopted: *mut c_void) {
    // SAFETY: it is from test_adopt(), and ended once.
    let mut adopted = unsafe { Box::from_raw(adopted.cast::<Adopted>()) };
    if let Some(runtime) = adopted.runtime.take() {
        runtime.shutdown_timeout(Duration::from_secs(10));
    }
}

/// nart_tokio_shutdown() on a thread of the bridge's own pool.
#[no_mangle]
pub unsafe extern "C" fn test_shutdown_inside(rt: *mut NartTokio) -> Res {
    let address = rt as usize;
    let (send, receive) = mpsc::channel();
    let inside = async move {
        let rt = address as *mut NartTokio;
        // SAFETY: the test waits, so the bridge is live.
        let answer = unsafe { nart_tokio_shutdown(rt, 0, std::ptr::null_mut()) };
        send.send(answer).expect("the test waits");
    };
    // SAFETY: the test's promises.
    let Some(bridge) = (unsafe { Bridge::from_c(rt) }) else {
        return errno(libc::EINVAL);
    };
    let Ok(operation) = bridge.spawn(inside) else {
        return errno(libc::EAGAIN);
    };
    let answer = receive.recv().unwrap_or(0);
    let mut c = operation.into_c();
    // SAFETY: it is open, and not used again.
    unsafe { nart_tokio_op_detach(&mut c) };
    answer
}

// ---- logs ----

/// # Safety
/// C strings.
unsafe fn text<'a>(s: *const std::ffi::c_char) -> &'a str {
    // SAFETY: the test's promise.
    unsafe { std::ffi::CStr::from_ptr(s) }.to_str().unwrap()
}

fn level(level: u32) -> log::Level {
    log::Level::iter().nth(level as usize - 1).unwrap()
}

#[no_mangle]
pub unsafe extern "C" fn test_log(
    of: u32,
    target: *const std::ffi::c_char,
    said: *const std::ffi::c_char,
) {
    // SAFETY: the test's promises.
    let (target, said) = unsafe { (text(target), text(said)) };
    log::log!(target: target, level(of), "{said}");
}

#[no_mangle]
pub unsafe extern "C" fn test_log_numbers(target: *const std::ffi::c_char, n: u64) {
    // SAFETY: the test's promise.
    let target = unsafe { text(target) };
    (1..=n).for_each(|n| log::info!(target: target, "{n}"));
}

/// Logs while its own text is written, and panics then.
struct Nested(bool);

impl std::fmt::Display for Nested {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        log::info!("inner");
        if self.0 {
            panic!("in a text");
        }
        f.write_str("outer")
    }
}

#[no_mangle]
pub extern "C" fn test_log_nested(panics: bool) {
    let logs = || log::info!("{}", Nested(panics));
    assert_eq!(std::panic::catch_unwind(logs).is_err(), panics);
}

struct Own(&'static Logs);

static OWN_LOGS: AtomicU64 = AtomicU64::new(0);

impl log::Log for Own {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        OWN_LOGS.fetch_add(1, SeqCst);
        self.0.log(record);
    }

    fn flush(&self) {}
}

/// Installs a logger of the program. If it is attached, it passes on what it gets.
#[no_mangle]
pub extern "C" fn test_log_own(attached: bool) {
    log::set_max_level(log::LevelFilter::Debug);
    if attached {
        let own: &'static Own = Box::leak(Box::new(Own(Logs::attach())));
        return log::set_logger(own).unwrap();
    }
    struct Silent;
    impl log::Log for Silent {
        fn enabled(&self, _: &log::Metadata<'_>) -> bool {
            false
        }
        fn log(&self, _: &log::Record<'_>) {}
        fn flush(&self) {}
    }
    log::set_logger(&Silent).unwrap();
}

/// The number of records that it got.
#[no_mangle]
pub extern "C" fn test_log_own_count() -> u64 {
    OWN_LOGS.load(SeqCst)
}

/// A future that logs on its worker, and when it is dropped.
#[no_mangle]
pub unsafe extern "C" fn test_log_future(rt: *mut NartTokio, op: *mut NartTokioOp) -> Res {
    struct LogsDrop;
    impl Drop for LogsDrop {
        fn drop(&mut self) {
            log::warn!(target: "future", "dropped");
        }
    }
    let future = async {
        let _logs = LogsDrop;
        log::info!(target: "future", "polled");
        pending::<i64>().await
    };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, || future) }
}
