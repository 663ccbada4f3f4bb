// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Rust libraries log, on its way to a C task.
//!
//! The process has one logger (crate `log`), which cannot be removed, and at most one open [`Log`]: the
//! queue from the threads that log to the task that reads. `tracing` with its feature `log` logs its
//! events there, too, as long as the program has set no subscriber.
//!
//! A thread that logs may hold any lock, so it waits for nothing: the queue is bounded (ring.rs), a full
//! one counts the event as lost, and the text is cut, not allocated. [`GATE`] keeps the log from being
//! freed under it:
//!
//! 1. enter (any thread): adds a user if OPEN is set, by compare-and-swap.
//! 2. leave: subtracts a user.
//! 3. close (the reader): clears OPEN.
//!
//! The one of 2 and 3 that leaves GATE at 0 frees the log, and clears [`OWNED`] last: then another one may
//! be opened. So close waits for nobody.
//!
//! The reader stores its waker, and looks at the queue again. A thread that has pushed takes the waker.
//! Both are swaps of one word: if the reader is second, it acquires what was pushed; otherwise the thread
//! finds its waker.

mod filter;
mod line;
mod ring;

use std::cell::UnsafeCell;
use std::fmt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use log::{LevelFilter, Metadata, Record};
use tracing::subscriber::NoSubscriber;

use crate::clock;
use crate::ffi::NartTokioLogEvent;
use crate::sys::{errno, NartWaker, Poll, Res, EFORK, PENDING};
use crate::threads::{fork_epoch, watch_forks};

use filter::Filter;
use line::Line;
use ring::Ring;

pub const QUEUE_MAX: u32 = 1 << 20;
const QUEUE_DEFAULT: u32 = 1024;

const OPEN: usize = 1;
const USER: usize = 2;

/// Threads that use the log, times USER; and OPEN.
static GATE: AtomicUsize = AtomicUsize::new(0);
/// A log is open, or not freed yet.
static OWNED: AtomicBool = AtomicBool::new(false);
/// That log, as long as GATE is not 0.
static LOG: AtomicPtr<Log> = AtomicPtr::new(ptr::null_mut());
/// The fork_epoch() of its process. Written by the owner.
static EPOCH: AtomicU32 = AtomicU32::new(0);
/// The process's logger is LOGS, or it passes records to it.
static CONNECTED: AtomicBool = AtomicBool::new(false);
/// The program's own logger passes records to LOGS.
static ATTACHED: AtomicBool = AtomicBool::new(false);

/// The open log. Its reader owns it until close().
pub(crate) struct Log {
    ring: Ring,
    /// The waker of the reader; 0: it does not wait.
    reader: AtomicUsize,
    filter: Filter,
    /// The event that was read last. Accessed by the reader.
    last: UnsafeCell<(Line, NartTokioLogEvent)>,
}

impl Log {
    /// Opens the log. `queue` 0: the default.
    pub fn open(filter: &str, queue: u32) -> Result<NonNull<Log>, Res> {
        let filter = Filter::parse(filter).ok_or(errno(libc::EINVAL))?;
        let queue = match queue {
            0 => QUEUE_DEFAULT,
            1..=QUEUE_MAX => queue,
            _ => return Err(errno(libc::EINVAL)),
        };
        watch_forks();
        // Acquire: what was freed.
        if OWNED.swap(true, Ordering::Acquire) {
            return Err(if EPOCH.load(Ordering::Relaxed) != fork_epoch() {
                EFORK
            } else {
                errno(libc::EBUSY)
            });
        }
        EPOCH.store(fork_epoch(), Ordering::Relaxed);
        match connect().and_then(|()| Log::new(filter, queue)) {
            Ok(log) => {
                let most = log.filter.most();
                let log = NonNull::from(Box::leak(log));
                LOG.store(log.as_ptr(), Ordering::Relaxed);
                GATE.store(OPEN, Ordering::Release); // what enter() acquires
                set_max_level(most);
                Ok(log)
            }
            Err(code) => {
                OWNED.store(false, Ordering::Release);
                Err(code)
            }
        }
    }

    fn new(filter: Filter, queue: u32) -> Result<Box<Log>, Res> {
        let ring = Ring::new(queue).ok_or(errno(libc::ENOMEM))?;
        Ok(Box::new(Log {
            ring,
            reader: AtomicUsize::new(0),
            filter,
            last: UnsafeCell::new((Line::new(), NartTokioLogEvent::EMPTY)),
        }))
    }

    /// Whether this process is a child of the one that opened it.
    fn is_forked() -> bool {
        EPOCH.load(Ordering::Relaxed) != fork_epoch()
    }

    /// Reads the next event. 0, PENDING or EFORK.
    ///
    /// # Safety
    /// Called by the reader only.
    pub unsafe fn read(&self) -> Res {
        if Log::is_forked() {
            return EFORK;
        }
        // SAFETY: only the reader pops and accesses the cell.
        match unsafe { self.ring.pop(&mut (*self.last.get()).0) } {
            true => 0,
            false => PENDING,
        }
    }

    /// The same for a task: if there is none, the next event wakes it.
    ///
    /// # Safety
    /// Called by the reader only.
    pub unsafe fn read_or_wait(&self, poll: Poll) -> Res {
        if let Err(answer) = poll.enter() {
            return answer;
        }
        // SAFETY: the caller's promise.
        let answer = unsafe { self.read() };
        if answer != PENDING {
            return answer;
        }
        let waker = poll.waker().w;
        // Release: for the next poll of another thread; Acquire: what was pushed.
        let old = self.reader.swap(waker, Ordering::AcqRel);
        if old != 0 && old != waker {
            NartWaker { w: old }.wake(); // of another task: both make progress
        }
        // SAFETY: the caller's promise.
        match unsafe { self.read() } {
            PENDING => poll.park(),
            answer => answer,
        }
    }

    /// The event that was read last.
    ///
    /// # Safety
    /// Called by the reader only. The event is valid until it reads again.
    pub unsafe fn last(&self) -> *const NartTokioLogEvent {
        // SAFETY: the caller's promise.
        let (line, event) = unsafe { &mut *self.last.get() };
        line.show(event);
        event
    }

    fn push(&self, line: &mut Line) {
        if self.ring.push(line) {
            // Release: what was pushed; Acquire: pairs with that of the reader.
            let w = self.reader.swap(0, Ordering::AcqRel);
            if w != 0 {
                NartWaker { w }.wake();
            }
        }
    }

    /// Closes it. Returns the number of events that were neither read nor counted in one that was.
    ///
    /// # Safety
    /// `log` is from open(), and not used after this.
    pub unsafe fn close(log: NonNull<Log>) -> u64 {
        if Log::is_forked() {
            return 0; // leaked: threads of the parent may use it
        }
        set_max_level(LevelFilter::Off);
        // SAFETY: it is freed below, or later by another thread.
        let unread = unsafe { log.as_ref() }.ring.unread();
        // Acquire: everything that was done with it; Release: what the reader did.
        if GATE.fetch_and(!OPEN, Ordering::AcqRel) == OPEN {
            free();
        }
        unread
    }
}

/// Called by the one that left GATE at 0.
fn free() {
    let log = LOG.swap(ptr::null_mut(), Ordering::Relaxed);
    // SAFETY: it was leaked by open(), and nobody uses it any more.
    drop(unsafe { Box::from_raw(log) });
    OWNED.store(false, Ordering::Release);
}

/// Makes LOGS the logger of the process, unless the program has one that passes records to it.
fn connect() -> Result<(), Res> {
    let exists = errno(libc::EEXIST);
    if ATTACHED.load(Ordering::Relaxed) {
        return Ok(());
    }
    if !tracing::dispatcher::get_default(|set| set.is::<NoSubscriber>()) {
        return Err(exists);
    }
    if !CONNECTED.load(Ordering::Relaxed) {
        log::set_logger(&LOGS).map_err(|_| exists)?;
        CONNECTED.store(true, Ordering::Relaxed); // under OWNED
    }
    Ok(())
}

/// The level of a logger of the program is its own.
fn set_max_level(level: LevelFilter) {
    if !ATTACHED.load(Ordering::Relaxed) {
        log::set_max_level(level);
    }
}

// ---- threads that log ----

/// A use of the open log.
struct Inside;

impl Inside {
    fn enter() -> Option<Inside> {
        let more = |gate: usize| (gate & OPEN != 0).then_some(gate + USER);
        // Acquire: the log.
        GATE.fetch_update(Ordering::Acquire, Ordering::Relaxed, more)
            .ok()?;
        let inside = Inside;
        (!Log::is_forked()).then_some(inside)
    }

    fn log(&self) -> &Log {
        // SAFETY: it is not freed as long as there is a user.
        unsafe { &*LOG.load(Ordering::Relaxed) }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        // Release: what was done with the log; Acquire: what others did, for who frees it.
        if GATE.fetch_sub(USER, Ordering::AcqRel) == USER {
            free();
        }
    }
}

/// The way of log events to the C task that reads them with `nart_tokio_log_next()`.
///
/// In a program of C that is the process's logger, and nothing is to be done. A program whose Rust code
/// installs a logger of its own passes records on: see [`Logs::attach`].
#[derive(Debug)]
pub struct Logs(());

static LOGS: Logs = Logs(());

impl Logs {
    /// For programs with a logger of their own: it passes records to what this returns, which implements
    /// [`log::Log`]. So `nart_tokio_log_open()` installs none and does not change [`log::max_level`].
    /// Events of `tracing` arrive if the program passes them: to [`Logs::event`] from a layer of its
    /// subscriber, for example.
    ///
    /// # Examples
    ///
    /// ```
    /// use log::Log;
    ///
    /// struct Both;
    /// impl log::Log for Both {
    ///     fn enabled(&self, _: &log::Metadata) -> bool {
    ///         true
    ///     }
    ///     fn log(&self, record: &log::Record) {
    ///         eprintln!("{}", record.args());
    ///         nart_tokio::Logs::attach().log(record);
    ///     }
    ///     fn flush(&self) {}
    /// }
    ///
    /// nart_tokio::Logs::attach();
    /// log::set_logger(&Both).unwrap();
    /// log::set_max_level(log::LevelFilter::Debug);
    /// ```
    pub fn attach() -> &'static Logs {
        ATTACHED.store(true, Ordering::Relaxed);
        &LOGS
    }

    /// Queues an event if a log is open whose filter accepts it. Neither blocks nor allocates. If the
    /// queue is full, the event is counted as lost.
    ///
    /// # Examples
    ///
    /// ```
    /// nart_tokio::Logs::attach().event(log::Level::Warn, "cache", format_args!("{} left", 3));
    /// ```
    pub fn event(&self, level: log::Level, target: &str, text: fmt::Arguments<'_>) {
        let Some(inside) = Inside::enter() else {
            return;
        };
        let log = inside.log();
        if log.filter.accepts(level, target) {
            log.push(&mut Line::of(clock::now(), level, target, text));
        }
    }
}

impl log::Log for Logs {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let accepts = |i: Inside| i.log().filter.accepts(metadata.level(), metadata.target());
        Inside::enter().is_some_and(accepts)
    }

    fn log(&self, record: &Record<'_>) {
        self.event(record.level(), record.target(), *record.args());
    }

    fn flush(&self) {}
}
