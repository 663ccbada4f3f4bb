// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge: a tokio runtime, and everything that C tasks need to use it.
//!
//! [`Shared`] is one allocation that every operation and C task refers to. So handles may
//! outlive the bridge, and the last reference frees it. It owns the runtime until shutdown or free
//! takes that out, so a worker never drops the runtime that it runs on.
//!
//! A forked child has the memory but not the threads. There every function returns NART_EFORK, and
//! memory is leaked instead of freed: threads that do not exist in the child may hold the locks.

use std::fmt;
use std::future::Future;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use tokio::runtime::{Builder, Handle as TokioHandle, Runtime};
use tokio::sync::Semaphore;

use crate::blocking::{self, Jobs};
use crate::crew::Crew;
use crate::error::Error;
use crate::ffi::NartTokio;
use crate::future;
use crate::locals::Locals;
use crate::names::Names;
use crate::observe::Legs;
use crate::op::{self, Label, Ops};
use crate::operation::Operation;
use crate::options::Options;
use crate::outcome::Outcome;
use crate::shutdown::Leaked;
use crate::signals::with_signals_blocked;
use crate::spawn_queue::SpawnQueue;
use crate::start;
use crate::sys::{errno, Res, EFORK, ESHUTDOWN};
use crate::threads::{fork_epoch, watch_forks, Hygiene};
use crate::trace::Traces;
use crate::tracker::{Tasks, Tracker};
use crate::values::Values;

/// Locks a mutex. Poisoning is ignored: no user code runs under these locks, so a panic cannot
/// leave their data inconsistent.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits as long as the condition holds, but not after `until`.
pub fn wait_while<'a, T>(
    changed: &Condvar,
    held: MutexGuard<'a, T>,
    until: Instant,
    condition: impl FnMut(&mut T) -> bool,
) -> MutexGuard<'a, T> {
    let left = until.saturating_duration_since(Instant::now());
    let waited = changed.wait_timeout_while(held, left, condition);
    waited.unwrap_or_else(PoisonError::into_inner).0
}

/// The data of a mutex that nobody else has.
pub fn lock_mut<T>(mutex: &mut Mutex<T>) -> &mut T {
    mutex.get_mut().unwrap_or_else(PoisonError::into_inner)
}

pub struct Shared {
    pub tracker: Tracker,
    pub(crate) ops: Ops,
    pub jobs: Jobs,
    pub tasks: Tasks,
    pub locals: Locals,
    #[cfg(feature = "http")]
    pub http: crate::http::HttpQueue,
    pub names: Arc<Names>,
    /// For the operations of resolve.rs.
    pub resolves: Arc<Semaphore>,
    pub handle: TokioHandle,
    /// Futures on their way to the runtime.
    pub(crate) spawns: SpawnQueue<op::Op>,
    /// None: an adopted runtime, or shut down.
    pub runtime: Mutex<Option<Runtime>>,
    /// The number of threads of that runtime.
    pub threads: Arc<AtomicU32>,
    /// Futures have to end: see end_futures(). Not the flag of the tracker: submitters write that line.
    pub futures_end: AtomicBool,
    pub legs: Legs,
    /// Of get_or_init().
    pub values: Values,
    /// For the trace of a runtime.
    pub(crate) traces: Traces,
    pub leaked: Mutex<Leaked>,
    /// For threads that the bridge starts itself.
    pub hygiene: Hygiene,
    /// The fork_epoch() in which it was made.
    epoch: u32,
}

impl Drop for Shared {
    fn drop(&mut self) {
        crate::io::close_all(ptr::from_ref(self) as usize);
        match self.is_forked() {
            true => self.values.leak(),
            false => self.values.end(&self.handle),
        }
    }
}

impl Shared {
    /// Whether this process is a child of the one that made the bridge.
    pub fn is_forked(&self) -> bool {
        self.epoch != fork_epoch()
    }
}

/// A tokio runtime that the C tasks of nart loops use. Clones refer to the same bridge.
///
/// When the last clone is dropped, or a C handle is freed, the bridge's work is cancelled and ends
/// in the background, on an adopted runtime too. [`Bridge::shutdown`] waits for the end, and so does
/// [`Bridge::shutdown_async`] in async code.
///
/// In C it is a `nart_tokio`. Rust code of a program submits futures to it with [`Bridge::spawn`],
/// and exports functions that do so to C with [`export!`](crate::export!).
#[derive(Clone)]
pub struct Bridge(pub(crate) Arc<Shared>, Keep);

/// Whether a clone keeps the bridge open. Those that its own futures get do not.
#[derive(Clone)]
enum Keep {
    Open(Arc<Last>),
    No(Weak<Last>),
}

/// Ends the bridge when its last clone is dropped: operations refer to `Shared` only.
struct Last {
    shared: Arc<Shared>,
    /// What as_c() lends; NULL until its first call.
    lent: AtomicPtr<NartTokio>,
}

impl Drop for Last {
    /// In a forked child it leaks `Shared`, whose drop would wait for threads of the parent.
    fn drop(&mut self) {
        if self.shared.is_forked() {
            std::mem::forget(self.shared.clone());
        }
        self.shared.abandon();
        // SAFETY: made by as_c(), whose pointers are not used after the last clone.
        unsafe { NartTokio::unlend(*self.lent.get_mut()) };
    }
}

impl fmt::Debug for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.tracker.counts();
        f.debug_struct("Bridge")
            .field("closed", &self.is_closed())
            .field("submitted", &counts.submitted)
            .field("running", &counts.running)
            .finish_non_exhaustive()
    }
}

/// The error of a submission: the cause, and the work that was not accepted. `?` converts it to
/// [`Error`].
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use nart_tokio::{Bridge, Error, Options};
///
/// fn submit(bridge: &Bridge) -> Result<(), Error> {
///     bridge.spawn(async { 42 })?.detach();
///     Ok(())
/// }
///
/// let bridge = Bridge::new(&Options::new())?;
/// bridge.shutdown(Duration::from_secs(1))?;
/// assert!(submit(&bridge).unwrap_err().is_shutdown());
/// let refused = bridge.spawn(async { 42 }).unwrap_err();
/// assert!(refused.error().is_shutdown());
/// let future = refused.work; // to run it elsewhere
/// # Ok::<(), Error>(())
/// ```
#[non_exhaustive]
pub struct Refused<W> {
    /// `NART_ESHUTDOWN`, `NART_EFORK` or `-ENOMEM`.
    pub code: Res,
    /// The work, unchanged.
    pub work: W,
}

impl<W> Refused<W> {
    /// The error without the work.
    ///
    /// # Examples
    ///
    /// See [`Refused`].
    #[must_use]
    pub fn error(&self) -> Error {
        Error::of(self.code)
    }
}

impl<W> fmt::Debug for Refused<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused({:?})", self.error())
    }
}

impl<W> fmt::Display for Refused<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error().fmt(f)
    }
}

impl<W> std::error::Error for Refused<W> {
    /// The error without the work, as [`Refused::error`].
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        static SOURCES: [Error; 3] = [
            Error::of(ESHUTDOWN),
            Error::of(EFORK),
            Error::of(errno(libc::ENOMEM)),
        ];
        let source = SOURCES.iter().find(|error| error.code() == self.code)?;
        Some(source)
    }
}

impl<W> From<Refused<W>> for Error {
    fn from(refused: Refused<W>) -> Error {
        refused.error()
    }
}

impl Bridge {
    /// Makes a bridge with a tokio runtime of its own.
    ///
    /// Its threads block all signals except faults, run under the normal scheduling policy, and
    /// avoid the CPUs that the calling thread is pinned to. So call it on the loop's thread, after
    /// pinning that.
    ///
    /// # Errors
    /// `-EINVAL` an option is out of range, or the process may run on no CPU of `cpus`; `-ENOMEM`;
    /// `-EAGAIN` no thread could be started; another errno of the system calls that tokio makes.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Bridge, Options};
    ///
    /// # fn main() -> Result<(), nart_tokio::Error> {
    /// let bridge = Bridge::new(&Options::new().workers(2))?;
    /// assert!(!bridge.is_closed());
    /// bridge.shutdown(std::time::Duration::from_secs(1))
    /// # }
    /// ```
    pub fn new(options: &Options) -> Result<Bridge, Error> {
        Bridge::with_runtime(options).map_err(Error::of)
    }

    fn with_runtime(options: &Options) -> Result<Bridge, Res> {
        options.check()?;
        let hygiene = Hygiene::new(&options.cpus)?;
        let threads = Arc::new(AtomicU32::new(0));
        let (more, fewer) = (threads.clone(), threads.clone());
        let mut builder = Builder::new_multi_thread();
        builder
            .max_blocking_threads(options.max_spawn_blocking as usize)
            .thread_keep_alive(blocking::LINGER)
            .thread_name(&options.name)
            .on_thread_stop(move || {
                fewer.fetch_sub(1, Ordering::Relaxed);
            })
            .enable_io()
            .enable_time();
        let on_start = move || {
            hygiene.apply();
            more.fetch_add(1, Ordering::Relaxed); // joining the threads orders it
        };
        let runtime = with_signals_blocked(|| {
            start::runtime(builder, options.workers, options.stack, on_start)
        })
        .map_err(|e| errno(e.raw_os_error().unwrap_or(libc::EIO)))?;
        let handle = runtime.handle().clone();
        Bridge::with(handle, Some(runtime), threads, hygiene, options)
    }

    pub(crate) fn with(
        handle: TokioHandle,
        runtime: Option<Runtime>,
        threads: Arc<AtomicU32>,
        hygiene: Hygiene,
        o: &Options,
    ) -> Result<Bridge, Res> {
        watch_forks();
        let no_memory = errno(libc::ENOMEM);
        let names = Names::new(Crew::new(hygiene, &o.name, o.stack));
        let shared = Arc::new(Shared {
            tracker: Tracker::default(),
            ops: Ops::new(o.keep_ops).ok_or(no_memory)?,
            jobs: Jobs::new(o, hygiene)?,
            tasks: Tasks::default(),
            locals: Locals::default(),
            #[cfg(feature = "http")]
            http: crate::http::HttpQueue::new(o.queue_cap, o.max_http, names.clone())
                .ok_or(no_memory)?,
            names,
            resolves: Arc::new(Semaphore::new(o.queue_cap as usize)),
            handle,
            runtime: Mutex::new(runtime),
            threads,
            spawns: SpawnQueue::new(),
            futures_end: AtomicBool::new(false),
            legs: Legs::default(),
            values: Values::default(),
            traces: Traces::default(),
            leaked: Mutex::default(),
            hygiene,
            epoch: fork_epoch(),
        });
        #[cfg(feature = "http")]
        crate::http::start(&shared);
        let last = Last {
            shared: shared.clone(),
            lent: AtomicPtr::default(),
        };
        Ok(Bridge(shared, Keep::Open(Arc::new(last))))
    }

    /// Runs a future on tokio. Its output, or its panic, is the result of the operation.
    ///
    /// The future is dropped before the result is published, and also when the operation is
    /// cancelled or the bridge is shut down. One allocation, tokio's, and one for a future of more
    /// than 208 bytes; a system call when tokio's threads sleep. Spawns that follow each other faster
    /// than tokio's threads start them are passed on as one batch.
    ///
    /// # Errors
    /// The future is returned with `NART_ESHUTDOWN`, `NART_EFORK` in a forked child, or `-ENOMEM`.
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
        match op::begin(&self.0, Label::future::<F>()) {
            Ok((handle, promise)) => {
                future::spawn(&self.0, handle, promise, future);
                Ok(Operation::new(handle))
            }
            Err(code) => Err(Refused { code, work: future }),
        }
    }

    /// A clone that does not keep the bridge open: for futures that run on it.
    pub(crate) fn inner(&self) -> Bridge {
        let last = match &self.1 {
            Keep::Open(last) => Arc::downgrade(last),
            Keep::No(last) => last.clone(),
        };
        Bridge(Arc::clone(&self.0), Keep::No(last))
    }

    /// Whether shutdown has begun.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0.tracker.is_closed()
    }

    /// The number of operations whose work has not ended. After a shutdown these are the leaked ones,
    /// until their work ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Bridge, Options};
    ///
    /// let bridge = Bridge::new(&Options::default()).unwrap();
    /// let never = bridge.spawn(std::future::pending::<i64>()).unwrap();
    /// assert_eq!(bridge.running(), 1);
    /// ```
    #[must_use]
    pub fn running(&self) -> u64 {
        self.0.tracker.counts().running
    }

    /// Lends the bridge to C: the `nart_tokio *` of its functions. All clones lend the same one.
    ///
    /// It is valid on every thread, until the last clone of the bridge is dropped: keep a clone for as long
    /// as C uses it. NULL if this is the bridge of an exported function, and the last clone has been dropped. C
    /// need not free it: `nart_tokio_free()` has no effect on it. A shutdown by C is one of
    /// the bridge.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{nart_tokio_shutdown, Bridge, Options};
    ///
    /// let bridge = Bridge::new(&Options::default())?;
    /// // SAFETY: the bridge is used afterwards, so it is live.
    /// let answer = unsafe { nart_tokio_shutdown(bridge.as_c(), i64::MAX, std::ptr::null_mut()) };
    /// assert!(answer == 0 && bridge.is_closed());
    /// # Ok::<(), nart_tokio::Error>(())
    /// ```
    #[must_use]
    pub fn as_c(&self) -> *mut NartTokio {
        let last = match &self.1 {
            Keep::Open(last) => last,
            Keep::No(last) => match last.upgrade() {
                Some(last) => return Bridge(Arc::clone(&self.0), Keep::Open(last)).as_c(),
                None => return ptr::null_mut(),
            },
        };
        let lent = &last.lent;
        // Acquire: what the thread that made it has written.
        let known = lent.load(Ordering::Acquire);
        if !known.is_null() {
            return known;
        }
        // SAFETY: it ends with `Last`, after all clones.
        let made = unsafe { NartTokio::lent(self) };
        // Release: its contents, for the others. Not a OnceLock: in a forked child that could wait for a
        // thread of the parent.
        match lent.compare_exchange(ptr::null_mut(), made, Ordering::Release, Ordering::Acquire) {
            Ok(_) => made,
            Err(known) => {
                // SAFETY: made above, and known to nobody else.
                unsafe { NartTokio::unlend(made) };
                known
            }
        }
    }

    /// Passes the bridge to C, which frees it with `nart_tokio_free()`. That ends its other clones,
    /// too. The signal mask is not changed. To keep it: [`as_c`](Bridge::as_c).
    #[must_use = "only C can close it: dropping it leaks"]
    pub fn into_c(self) -> *mut NartTokio {
        NartTokio::boxed(self, None)
    }

    /// The bridge of a `nart_tokio`. None if `rt` is NULL.
    ///
    /// # Safety
    /// `rt` is NULL, or live as long as the reference is used.
    pub unsafe fn from_c<'a>(rt: *const NartTokio) -> Option<&'a Bridge> {
        // SAFETY: the caller's promise.
        unsafe { NartTokio::bridge(rt) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{channel, TryRecvError};
    use std::time::Duration;

    #[test]
    fn a_bridge_ends_with_its_last_clone() {
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
        // Disconnected, because the future was dropped.
        let ended = receive.recv_timeout(Duration::from_secs(60));
        assert_eq!(ended, Err(std::sync::mpsc::RecvTimeoutError::Disconnected));
        drop(operation);
    }

    #[test]
    fn a_runtime_that_ends_before_it_ran_ends_what_was_queued() {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let bridge = Bridge::adopt(runtime.handle().clone(), &Options::default()).unwrap();
        let spawn = |value: i64| bridge.spawn(async move { value }).unwrap();
        let mut operations: Vec<Operation> = (0..300).map(spawn).collect();
        assert_eq!(bridge.running(), 300);
        drop(runtime);
        assert_eq!(bridge.running(), 0);
        operations.push(spawn(300)); // the runtime drops it at once
        assert_eq!(bridge.running(), 0);
        assert_eq!(bridge.0.tracker.counts().shutdown, 301);
    }

    #[test]
    fn a_forked_child_leaks_the_bridge() {
        let bridge = Bridge::new(&Options::default()).unwrap();
        // SAFETY: the child drops values and exits; it uses no thread and no lock of the parent.
        let child = unsafe { libc::fork() };
        if child == 0 {
            drop(bridge);
            // SAFETY: ends the child without handlers of the parent.
            unsafe { libc::_exit(7) };
        }
        let mut status = 0;
        // SAFETY: waits for the child above.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert!(libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 7);
    }
}
