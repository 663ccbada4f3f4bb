// SPDX-License-Identifier: MIT OR Apache-2.0
//! Descriptors of C tasks on tokio.
//!
//! 1. A handle of C names a record of a table that all bridges share, by an id that is never used
//!    again: (serial, index). Records are never freed, so an old id is detected.
//! 2. A record holds C's record of the descriptor (driver.h): which directions are ready, and the
//!    waits. C's operations try the system call first, so a new descriptor counts as ready.
//! 3. The first operation that has to wait registers the descriptor with tokio. Before: a socket
//!    that is not connected yet is hung up for epoll, and tokio never forgets that.
//! 4. A direction that is not ready is polled in tokio, with the waker of the C task. The guard that
//!    tokio returns is kept until C clears the direction. It carries the number of the event: an
//!    event after it is not cleared. So C may clear after any system call that came after the guard.
//! 5. A short read proves that no data is left, except at the mark of urgent data. tokio reports that
//!    with the event of the data (EPOLLPRI), and this never clears it: a clear could hit a later mark.
//!    So after the first mark C reads until EAGAIN. Data that arrives after the event of the guard
//!    causes another event, which the guard does not clear.
//! 6. tokio does not clear "closed" either, but an end may be over, as of a FIFO that has a new
//!    writer. A direction that was cleared nevertheless is registered again.
//! 7. The end of a bridge closes what its tasks have left open.
//!
//! One task at a time uses a handle, so the locks of the records are not contended. In a forked child
//! a handle can be closed only, without a lock, which a thread of the parent may hold: what the record
//! contains is leaked.

use std::cell::UnsafeCell;
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};
use std::task::{Context, Poll, Waker};

use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};
use tokio::io::{Interest, Ready};
use tokio::runtime::Handle as TokioHandle;

use crate::bridge::lock;
use crate::panic::catch;
use crate::poll_context::PollContext;
use crate::sys::io::{
    nart_driver_io_clear, nart_driver_io_init, nart_driver_io_part, nart_driver_io_ready,
    nart_driver_io_set, nart_driver_io_stay, nart_driver_io_taken, nart_driver_io_unwait,
    nart_driver_io_want, DriverIo, ERROR, HANGUP, PRI, RDHUP, READ, WRITE,
};
use crate::sys::{errno, Cx, Res, EDRIVER, EFDS, EFORK, ESHUTDOWN, ESTALE};
use crate::threads::fork_epoch;

// ---- tokio's registration ----

/// A descriptor that is not closed with tokio's registration.
pub struct Borrowed(pub RawFd);

impl AsRawFd for Borrowed {
    fn as_raw_fd(&self) -> RawFd {
        self.0
    }
}

type Guard = AsyncFdReadyGuard<'static, Borrowed>;

const DIRECTIONS: [u32; 2] = [READ, WRITE];
const ALL: Interest = Interest::READABLE
    .add(Interest::WRITABLE)
    .add(Interest::PRIORITY);

/// The registration, and per direction the guard of its last event. The guards borrow from `fd`, so
/// they are dropped before it.
struct Watch {
    guards: [Option<Guard>; 2],
    fd: NonNull<AsyncFd<Borrowed>>,
}

// SAFETY: `fd` is a Box, and what it and the guards contain may be sent.
unsafe impl Send for Watch {}

impl Watch {
    /// # Safety
    /// The descriptor is open as long as the value exists.
    unsafe fn new(fd: RawFd) -> io::Result<Watch> {
        // The descriptor is open, as the caller promises.
        #[allow(deprecated)] // as in host/drive.rs: tokio 1.52 has no register()
        let fd = AsyncFd::with_interest(Borrowed(fd), ALL)?;
        Ok(Watch {
            guards: [None, None],
            fd: NonNull::from(Box::leak(Box::new(fd))),
        })
    }

    /// Polls a direction. Returns its bits; None: it is not ready, and the waker is registered.
    fn poll(&mut self, dir: usize, cx: &mut Context<'_>) -> Result<Option<u32>, io::Error> {
        // SAFETY: the box lives until drop(), which drops the guards first.
        let fd: &'static AsyncFd<Borrowed> = unsafe { self.fd.as_ref() };
        let polled = match DIRECTIONS[dir] {
            READ => fd.poll_read_ready(cx),
            _ => fd.poll_write_ready(cx),
        };
        let guard = match polled {
            Poll::Pending => return Ok(None),
            Poll::Ready(guard) => guard?,
        };
        let mut bits = bits(DIRECTIONS[dir], guard.ready());
        // The closure runs if it is set, also if the reading side is closed.
        if fd.try_io(Interest::PRIORITY, |_| Ok(())).is_ok() {
            bits |= PRI;
        }
        self.guards[dir] = Some(guard);
        Ok(Some(bits))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.guards = [None, None];
        // SAFETY: from Box::leak() in new(); nothing borrows from it any more.
        drop(unsafe { Box::from_raw(self.fd.as_ptr()) });
    }
}

fn is_closed(ready: Ready) -> bool {
    ready.is_read_closed() || ready.is_write_closed()
}

fn bits(direction: u32, ready: Ready) -> u32 {
    let mut bits = direction;
    if ready.is_read_closed() {
        bits |= RDHUP;
    }
    if ready.is_write_closed() {
        bits |= HANGUP;
    }
    if ready.is_error() {
        bits |= ERROR;
    }
    bits
}

// ---- records ----

struct Open {
    id: u64,
    /// The bridge.
    host: usize,
    fd: RawFd,
    /// epoll does not support it: a regular file.
    always: bool,
    watch: Option<Watch>,
}

#[derive(Default)]
struct Record {
    open: Mutex<Option<Open>>,
    /// Accessed under the lock, and by the poll of a task that waits in it.
    io: UnsafeCell<DriverIo>,
    /// For forked children: the id, the descriptor, and the fork_epoch() in which it was opened. Written
    /// under the lock.
    id: AtomicU64,
    fd: AtomicI32,
    epoch: AtomicU32,
}

impl Record {
    // Relaxed: a child has one thread; in the parent only that of the handle looks.
    fn is_forked(&self) -> bool {
        self.epoch.load(Ordering::Relaxed) != fork_epoch()
    }
}

// SAFETY: see `io`; one task at a time uses a handle.
unsafe impl Sync for Record {}

impl Open {
    /// Looks for events of directions that are not ready. An error ends the operation.
    fn look(&mut self, io: *mut DriverIo, dirs: u32, waker: &Waker) -> Result<(), Res> {
        let code = |e: io::Error| e.raw_os_error().map_or(ESHUTDOWN, errno);
        if self.watch.is_none() && !self.always {
            if TokioHandle::try_current().is_err() {
                return Err(ESHUTDOWN);
            }
            // SAFETY: the record owns the descriptor, and drops `watch` before it gives that away.
            match catch(|| unsafe { Watch::new(self.fd) }).map_err(|_| ESHUTDOWN)? {
                Ok(watch) => self.watch = Some(watch),
                Err(e) if e.raw_os_error() == Some(libc::EPERM) => self.always = true,
                Err(e) => return Err(code(e)),
            }
        }
        let mut set = 0;
        match &mut self.watch {
            None => set = READ | WRITE,
            Some(watch) => {
                let mut cx = Context::from_waker(waker);
                for (dir, bit) in DIRECTIONS.iter().enumerate() {
                    if dirs & bit != 0 {
                        set |= watch.poll(dir, &mut cx).map_err(code)?.unwrap_or(0);
                    }
                }
            }
        }
        // SAFETY: the caller holds the record's lock.
        unsafe { nart_driver_io_set(io, set) };
        Ok(())
    }

    fn clear(&mut self, bits: u32) {
        let Some(watch) = &mut self.watch else { return };
        let mut again = false;
        for (dir, bit) in DIRECTIONS.iter().enumerate() {
            if bits & bit == 0 {
                continue;
            }
            if let Some(mut guard) = watch.guards[dir].take() {
                again |= is_closed(guard.ready());
                guard.clear_ready();
            }
        }
        if again {
            self.watch = None;
        }
    }
}

// ---- the table ----

/// As in C's reactor.
const INDEX_BITS: u32 = 20;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
/// Records of the first chunk; each further one has twice as many.
const FIRST: usize = 1 << 10;
const CHUNKS: usize = (INDEX_BITS - 10) as usize + 1;

static TABLE: [OnceLock<Box<[Record]>>; CHUNKS] = [const { OnceLock::new() }; CHUNKS];

struct Free {
    free: Vec<u32>,
    made: u32,
    serial: u64,
}

static FREE: Mutex<Free> = Mutex::new(Free {
    free: Vec::new(),
    made: 0,
    serial: 0,
});

/// The chunk of an index, and the place in it.
fn place(index: u32) -> (usize, usize) {
    let chunk = (index as usize / FIRST + 1).ilog2() as usize;
    (chunk, index as usize - FIRST * ((1 << chunk) - 1))
}

fn record(index: u32) -> Option<&'static Record> {
    let (chunk, i) = place(index);
    TABLE.get(chunk)?.get()?.get(i)
}

/// The record of an index, which is made if it does not exist yet.
fn make_record(index: u32) -> Option<&'static Record> {
    let (chunk, i) = place(index);
    let make = || (0..FIRST << chunk).map(|_| Record::default()).collect();
    TABLE.get(chunk)?.get_or_init(make).get(i)
}

fn add(host: usize, fd: RawFd) -> Result<u64, Res> {
    let mut free = lock(&FREE);
    let index = match free.free.pop() {
        Some(index) => index,
        None if u64::from(free.made) > INDEX_MASK => return Err(EFDS),
        None => {
            free.made += 1;
            free.made - 1
        }
    };
    free.serial += 1;
    let id = free.serial << INDEX_BITS | u64::from(index);
    drop(free);
    let record = make_record(index).ok_or(EFDS)?;
    let mut open = lock(&record.open);
    // SAFETY: under the lock, and no task waits in a free record.
    unsafe { nart_driver_io_init(record.io.get()) };
    record.id.store(id, Ordering::Relaxed);
    record.fd.store(fd, Ordering::Relaxed);
    record.epoch.store(fork_epoch(), Ordering::Relaxed);
    *open = Some(Open {
        id,
        host,
        fd,
        always: false,
        watch: None,
    });
    Ok(id)
}

/// Calls `f` with what an id names, or answers NART_ESTALE or NART_EFORK.
fn with(id: u64, f: impl FnOnce(&mut Open, *mut DriverIo) -> Res) -> Res {
    let Some(record) = record((id & INDEX_MASK) as u32) else {
        return ESTALE;
    };
    if record.is_forked() {
        return EFORK;
    }
    let mut open = lock(&record.open);
    match &mut *open {
        Some(open) if open.id == id => f(open, record.io.get()),
        _ => ESTALE,
    }
}

/// Removes what an id names. Its waits have ended.
fn take(id: u64) -> Option<Open> {
    let index = (id & INDEX_MASK) as u32;
    let mut open = lock(&record(index)?.open);
    let taken = open.take_if(|open| open.id == id)?;
    drop(open);
    lock(&FREE).free.push(index);
    Some(taken)
}

/// In a forked child: takes the child's copy of the descriptor out of the record of an id.
fn take_in_child(id: u64) -> Option<RawFd> {
    let record = record((id & INDEX_MASK) as u32).filter(|record| record.is_forked())?;
    let taken = record
        .id
        .compare_exchange(id, 0, Ordering::Relaxed, Ordering::Relaxed);
    taken.ok().map(|_| record.fd.load(Ordering::Relaxed))
}

/// Closes the descriptors of a bridge that ends. Its tasks have ended.
pub fn close_all(host: usize) {
    let made = lock(&FREE).made;
    for record in (0..made).filter_map(record) {
        let id = match &*lock(&record.open) {
            Some(open) if open.host == host => open.id,
            _ => continue,
        };
        if let Some(open) = take(id) {
            drop(open.watch);
            // SAFETY: the record owns it.
            unsafe { libc::close(open.fd) };
        }
    }
}

// ---- the driver's functions ----

pub unsafe extern "C" fn io_add(host: *mut c_void, fd: c_int, id: *mut u64) -> Res {
    if host.is_null() {
        return EDRIVER;
    }
    // SAFETY: reads flags of a descriptor.
    if unsafe { libc::fcntl(fd, libc::F_GETFD) } < 0 {
        return errno(libc::EBADF);
    }
    match add(host as usize, fd) {
        // SAFETY: C passes a valid pointer.
        Ok(new) => unsafe {
            *id = new;
            0
        },
        Err(code) => code,
    }
}

pub unsafe extern "C" fn io_want(_: *mut c_void, id: u64, dirs: u32, cx: *mut Cx) -> Res {
    with(id, |open, io| {
        // SAFETY: under the record's lock, in a poll of this context.
        unsafe {
            if nart_driver_io_ready(io) & dirs == 0 {
                // tokio keeps one waker per direction: it stays that of the operation that waits.
                if nart_driver_io_taken(io, dirs, cx) {
                    return errno(libc::EBUSY);
                }
                let looked = PollContext::with_waker_of(cx, |waker| open.look(io, dirs, waker));
                if let Err(code) = looked {
                    nart_driver_io_unwait(io, dirs, cx);
                    return code;
                }
            }
            nart_driver_io_want(io, dirs, cx)
        }
    })
}

pub unsafe extern "C" fn io_clear(_: *mut c_void, id: u64, bits: u32) {
    with(id, |open, io| {
        if !open.always {
            // SAFETY: under the record's lock.
            unsafe { nart_driver_io_clear(io, bits) };
            open.clear(bits);
        }
        0
    });
}

pub unsafe extern "C" fn io_del(_: *mut c_void, id: u64, fd: *mut c_int) -> Res {
    // SAFETY: under the record's lock.
    let woken = with(id, |_, io| Res::from(unsafe { nart_driver_io_part(io) }));
    let taken = match woken {
        EFORK => take_in_child(id),
        _ => take(id).map(|open| open.fd), // and ends the registration
    };
    match taken {
        // SAFETY: C passes a valid pointer.
        Some(open) => unsafe {
            *fd = open;
            woken.max(0)
        },
        None => ESTALE,
    }
}

pub unsafe extern "C" fn io_fd(_: *mut c_void, id: u64) -> Res {
    with(id, |open, _| Res::from(open.fd))
}

pub unsafe extern "C" fn io_wake(_: *mut c_void, id: u64) -> Res {
    // SAFETY: under the record's lock.
    with(id, |_, io| Res::from(unsafe { nart_driver_io_part(io) }))
}

pub unsafe extern "C" fn io_unwait(_: *mut c_void, id: u64, dirs: u32, cx: *mut Cx) {
    with(id, |_, io| {
        // SAFETY: under the record's lock, in a poll of this context.
        unsafe { nart_driver_io_unwait(io, dirs, cx) };
        0
    });
}

pub unsafe extern "C" fn io_stay(_: *mut c_void, id: u64, dirs: u32, cx: *mut Cx) {
    with(id, |_, io| {
        // SAFETY: under the record's lock, in a poll of this context.
        unsafe { nart_driver_io_stay(io, dirs, cx) };
        0
    });
}
