// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge: a tokio runtime with everything that C tasks need of it.
//!
//! [`Shared`] is one allocation that every operation, drainer and C task refers to; so handles may
//! outlive the bridge, and whichever ends last frees it. It owns the runtime only until shutdown or
//! free takes that out, so a worker never drops the runtime that it runs on.
//!
//! A child of fork has the memory but not the threads: whatever it calls answers NART_EFORK, and
//! what it frees is leaked, because the locks may be held by threads that are not there.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::runtime::{Builder, Handle as TokioHandle, Runtime};

use crate::blocking::{self, Jobs};
use crate::ctask::Tasks;
use crate::ffi::{NartTokio, NartTokioOp};
use crate::future::Supervised;
use crate::op::{self, Handle, Op, Outcome};
use crate::panic::catch;
use crate::shutdown::Leaked;
use crate::sys::{errno, Res, EFORK, ESHUTDOWN};
use crate::threads::{fork_epoch, watch_forks, with_signals_blocked, Hygiene};
use crate::tracker::Tracker;

/// Poisoning is ignored: no user code runs under these locks, so a panic leaves nothing half done.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a bridge is made. The same as `nart_tokio_opts`, with the defaults filled in.
#[derive(Clone, Debug)]
pub struct Options {
    /// Of the threads, as `ps` shows it; 15 bytes of it.
    pub name: String,
    /// Threads that run futures; 1.
    pub workers: u32,
    /// Blocking functions of C that run at once; 8.
    pub max_blocking: u32,
    /// Blocking functions of C that wait for their turn, and HTTP requests that have been submitted
    /// and not begun; 256.
    pub queue_cap: u32,
    /// Blocks of operations that are made in advance and kept; 1024.
    pub keep_ops: u32,
    /// Bytes of each thread's stack; 512 KiB.
    pub stack: usize,
    /// The CPUs of the threads; empty for all that the process may use but the calling thread's.
    pub cpus: Vec<u32>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            name: "nart-tokio".to_owned(),
            workers: 1,
            max_blocking: 8,
            queue_cap: 256,
            keep_ops: 1024,
            stack: 512 << 10,
            cpus: Vec::new(),
        }
    }
}

impl Options {
    fn check(&self) -> Result<(), Res> {
        let fits = |n: u32, least: u32, most: u32| (least..=most).contains(&n);
        let ok = fits(self.workers, 1, 1 << 10)
            && fits(self.max_blocking, 1, 1 << 12)
            && fits(self.queue_cap, 1, 1 << 20)
            && fits(self.keep_ops, 0, 1 << 20)
            && (16 << 10..=1 << 30).contains(&self.stack)
            && !self.name.contains('\0');
        ok.then_some(()).ok_or(errno(libc::EINVAL))
    }
}

/// Recycled blocks of operations. Any thread.
pub struct Ops {
    #[allow(clippy::vec_box)] // a block does not move: both its owners have its address
    blocks: Mutex<Vec<Box<Op>>>,
    keep: usize,
}

impl Ops {
    fn new(keep: u32) -> Option<Ops> {
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(keep as usize).ok()?;
        for _ in 0..keep {
            blocks.push(Op::allocate()?);
        }
        // After all of them, so that they are near each other.
        blocks.iter_mut().for_each(|block| block.make_scratch());
        Some(Ops {
            blocks: Mutex::new(blocks),
            keep: keep as usize,
        })
    }

    pub fn take(&self) -> Option<Box<Op>> {
        let kept = lock(&self.blocks).pop();
        kept.or_else(Op::allocate)
    }

    pub fn give(&self, mut block: Box<Op>) {
        block.reset();
        let mut blocks = lock(&self.blocks);
        if blocks.len() < self.keep {
            blocks.push(block);
        }
    }
}

pub struct Shared {
    pub tracker: Tracker,
    pub ops: Ops,
    pub jobs: Jobs,
    pub tasks: Tasks,
    #[cfg(feature = "http")]
    pub http: crate::http_queue::HttpQueue,
    #[cfg(feature = "http")]
    pub names: Arc<crate::names::Names>,
    pub handle: TokioHandle,
    /// None: adopted, or shut down.
    pub runtime: Mutex<Option<Runtime>>,
    /// Of the runtime above.
    pub threads: Arc<AtomicU32>,
    pub leaked: Mutex<Leaked>,
    /// For threads that the bridge makes itself.
    pub hygiene: Hygiene,
    epoch: u32,
}

impl Shared {
    pub fn is_forked(&self) -> bool {
        self.epoch != fork_epoch()
    }
}

/// A tokio runtime that C tasks of a nart loop can use. Clones are the same bridge.
///
/// When the last clone is dropped, or a C handle is freed, the bridge ends in the background: what was
/// not shut down is told to end. [`Bridge::shutdown`] waits for it.
///
/// C sees it as `nart_tokio`. A program with Rust code of its own gives C functions that submit
/// futures to it; see [`export`].
#[derive(Clone)]
pub struct Bridge(pub(crate) Arc<Shared>, #[allow(dead_code)] Arc<Last>);

/// Ends the bridge with its last clone: operations and drainers refer to `Shared` only.
struct Last(Arc<Shared>);

impl Drop for Last {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Work that was not taken, given back.
#[derive(Debug)]
pub struct Refused<W> {
    /// Why: `NART_ESHUTDOWN`, `NART_EFORK` or `-ENOMEM`.
    pub code: Res,
    /// The work, untouched.
    pub work: W,
}

impl Bridge {
    /// Makes a bridge with a tokio runtime of its own.
    ///
    /// Its threads block the signals that are sent, run under the normal scheduling policy, and keep
    /// off the CPUs of the calling thread if that is pinned.
    ///
    /// # Errors
    /// `-EINVAL` options out of range, or no CPU of `cpus` is the process's; `-ENOMEM`; `-EAGAIN` no
    /// threads, or another errno of what tokio needs.
    pub fn new(options: &Options) -> Result<Bridge, Res> {
        options.check()?;
        let hygiene = Hygiene::new(&options.cpus)?;
        let threads = Arc::new(AtomicU32::new(0));
        let (more, fewer) = (threads.clone(), threads.clone());
        let build = || {
            Builder::new_multi_thread()
                .worker_threads(options.workers as usize)
                // Two more than the C functions: for closures of Rust code, and to read certificates.
                .max_blocking_threads(options.max_blocking as usize + 2)
                .thread_keep_alive(blocking::LINGER)
                .thread_name(&options.name)
                .thread_stack_size(options.stack)
                .on_thread_start(move || {
                    hygiene.apply();
                    more.fetch_add(1, Ordering::Relaxed); // a number; joining the threads orders it
                })
                .on_thread_stop(move || {
                    fewer.fetch_sub(1, Ordering::Relaxed);
                })
                .enable_io()
                .enable_time()
                .build()
        };
        let runtime = match catch(|| with_signals_blocked(build)) {
            Ok(Ok(runtime)) => runtime,
            Ok(Err(e)) => return Err(errno(e.raw_os_error().unwrap_or(libc::EIO))),
            Err(_) => return Err(errno(libc::EAGAIN)), // tokio panics when it gets no thread
        };
        let handle = runtime.handle().clone();
        Bridge::with(handle, Some(runtime), threads, hygiene, options)
    }

    /// Makes a bridge of a runtime that lives elsewhere in the program, a `#[tokio::main]` say.
    ///
    /// It must have been made with time and I/O. Its threads are as their owner made them: `name`,
    /// `workers`, `stack` and `cpus` are not looked at. Shutting the bridge down waits for its
    /// operations and leaves the runtime alone; futures that do not end in time are reported as leaked.
    ///
    /// # Errors
    /// `-EINVAL` options out of range; `-ENOMEM`.
    pub fn adopt(handle: TokioHandle, options: &Options) -> Result<Bridge, Res> {
        options.check()?;
        Bridge::with(handle, None, Arc::default(), Hygiene::new(&[])?, options)
    }

    fn with(
        handle: TokioHandle,
        runtime: Option<Runtime>,
        threads: Arc<AtomicU32>,
        hygiene: Hygiene,
        o: &Options,
    ) -> Result<Bridge, Res> {
        watch_forks();
        let no_memory = errno(libc::ENOMEM);
        let shared = Arc::new(Shared {
            tracker: Tracker::default(),
            ops: Ops::new(o.keep_ops).ok_or(no_memory)?,
            jobs: Jobs::new(o.max_blocking, o.queue_cap).ok_or(no_memory)?,
            tasks: Tasks::default(),
            #[cfg(feature = "http")]
            http: crate::http_queue::HttpQueue::new(o.queue_cap).ok_or(no_memory)?,
            #[cfg(feature = "http")]
            names: crate::names::Names::new(hygiene, &o.name, o.stack),
            handle,
            runtime: Mutex::new(runtime),
            threads,
            leaked: Mutex::default(),
            hygiene,
            epoch: fork_epoch(),
        });
        #[cfg(feature = "http")]
        crate::http_queue::start(&shared);
        Ok(Bridge(shared.clone(), Arc::new(Last(shared))))
    }

    /// Runs a future on tokio. Its output, or its panic, is what the operation answers; it is dropped
    /// before that, and also when the operation is cancelled or the bridge shut down.
    ///
    /// One allocation, tokio's; and a system call when tokio's threads sleep.
    ///
    /// # Errors
    /// The future comes back when the bridge is shut down, belongs to the parent of a forked child,
    /// or memory is short.
    pub fn spawn<F>(&self, future: F) -> Result<Operation, Refused<F>>
    where
        F: Future + Send + 'static,
        F::Output: Into<Outcome>,
    {
        if self.0.is_forked() {
            return Err(Refused {
                code: EFORK,
                work: future,
            });
        }
        match op::begin(&self.0) {
            Ok((handle, promise)) => {
                handle.keep(self.0.handle.spawn(Supervised::new(future, promise)));
                Ok(Operation(Some(handle)))
            }
            Err(code) => Err(Refused { code, work: future }),
        }
    }

    /// Has shutdown begun?
    pub fn is_closed(&self) -> bool {
        self.0.tracker.is_closed()
    }

    /// The bridge for C, which frees it by `nart_tokio_free()`; that ends its other clones, too. SIGPIPE
    /// is left as it is.
    pub fn into_c(self) -> *mut NartTokio {
        NartTokio::boxed(self, None)
    }

    /// The bridge behind a `nart_tokio`.
    ///
    /// # Safety
    /// `rt` is live, and stays so while the answer is used.
    pub unsafe fn from_c<'a>(rt: *const NartTokio) -> Option<&'a Bridge> {
        // SAFETY: the caller promises that it is live.
        unsafe { rt.as_ref() }.map(NartTokio::bridge)
    }
}

/// An operation held by Rust code; dropped, it is cancelled and detached.
pub struct Operation(Option<Handle>);

// SAFETY: a handle is for one thread at a time, and this is its only owner.
unsafe impl Send for Operation {}

impl Operation {
    /// The operation for C, which awaits and closes it.
    pub fn into_c(mut self) -> NartTokioOp {
        NartTokioOp::of(self.0.take())
    }
}

impl Drop for Operation {
    fn drop(&mut self) {
        if let Some(handle) = self.0.take() {
            handle.cancel();
            handle.detach();
        }
    }
}

/// The body of a function that C calls to start a future of yours:
///
/// ```no_run
/// use nart_tokio::{export, NartTokio, NartTokioOp};
///
/// /// Answers `ms` after that many milliseconds.
/// #[no_mangle]
/// pub unsafe extern "C" fn my_pause(rt: *mut NartTokio, ms: u64, op: *mut NartTokioOp) -> i64 {
///     let future = async move {
///         tokio::time::sleep(std::time::Duration::from_millis(ms)).await;
///         ms as i64
///     };
///     export(rt, op, || future)
/// }
/// ```
///
/// It answers 0 and `*op`, or an error of [`Bridge::spawn`], or `-EINVAL` for a pointer that is NULL.
/// `make` runs on the calling thread; a panic in it is `NART_EPANIC`.
///
/// # Safety
/// `rt` is NULL or live; `op` is NULL or writable, and holds no open operation.
pub unsafe fn export<F>(rt: *const NartTokio, op: *mut NartTokioOp, make: impl FnOnce() -> F) -> Res
where
    F: Future + Send + 'static,
    F::Output: Into<Outcome>,
{
    crate::panic::guard(|| {
        // SAFETY: the caller's promises.
        let (Some(bridge), Some(op)) = (unsafe { (Bridge::from_c(rt), op.as_mut()) }) else {
            return errno(libc::EINVAL);
        };
        *op = NartTokioOp::of(None);
        if bridge.is_closed() {
            return ESHUTDOWN;
        }
        match bridge.spawn(make()) {
            Ok(operation) => {
                *op = operation.into_c();
                0
            }
            Err(refused) => refused.code,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{channel, TryRecvError};
    use std::time::Duration;

    #[test]
    fn it_ends_with_its_last_clone() {
        let bridge = Bridge::new(&Options::default()).unwrap();
        let (send, receive) = channel::<()>();
        let never = async move {
            let _send = send;
            std::future::pending::<i64>().await
        };
        let operation = bridge.spawn(never).map_err(|refused| refused.code).unwrap();
        drop(bridge.clone());
        assert_eq!(receive.try_recv(), Err(TryRecvError::Empty));
        drop(bridge);
        // Disconnected, because the future has been dropped.
        let ended = receive.recv_timeout(Duration::from_secs(60));
        assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
        drop(operation);
    }
}
