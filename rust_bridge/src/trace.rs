// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge's part of a runtime's trace: a slice for each poll of an operation's future or C task and each
//! run of a blocking function, and the arrows between these and the polls of the runtime.
//!
//! A [`Tracer`] is one such part. The runtime's trace (`c_src/observe/trace.c`) and the bridge own it, and so
//! do operations that were submitted while it was on: each may be freed first. Everything that the runtime's
//! trace calls, it calls on its own thread.
//!
//! 1. An operation gets a number, that of its two arrows: from its submission to its first slice, and from
//!    its last slice to where its answer is read. Each has a mark at its begin and at its end.
//! 2. A thread records a slice when that ends, with the marks in it, under a lock. Marks on the runtime's
//!    thread are in the ring of the runtime, in its polls.
//! 3. Printing takes a snapshot of the ring, and drops marks that lie in no slice, and ends of arrows that do
//!    not begin: their other part was overwritten, or is in no slice.
//!
//! Bounds: the ring is allocated at the start, and overwrites its oldest event. While a snapshot is taken,
//! threads that record wait. Not handled: a slice that has not ended is not shown; local futures.

mod snapshot;

use std::cell::UnsafeCell;
use std::ffi::CString;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use crate::blocking::Name;
use crate::bridge::{lock, Bridge, Shared};
use crate::clock;
use crate::error::Error;
use crate::op::{Kind, Label};
use crate::sys::trace::{nart__trace_arrow, nart__trace_join, Guest, ANSWER, SUBMIT};
use crate::sys::{errno, Res, Rt, EFORK};
use crate::threads::{fork_epoch, this_thread, ThreadId};

use snapshot::Snapshot;

/// What an event is. The last four are marks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Slice,
    Submitted,
    Started,
    Answered,
    Read,
}

/// The name of a slice.
#[derive(Clone, Copy)]
enum Title {
    Label(Label),
    Job(Name),
}

#[derive(Clone, Copy)]
struct Event {
    at: i64,
    took: i64,
    flow: u64,
    thread: i32,
    what: What,
    title: Title,
}

const _: () = assert!(std::mem::size_of::<Event>() <= 72);

/// Event i is at i % capacity.
struct Ring {
    events: Vec<Event>,
    capacity: usize,
    count: u64,
}

impl Ring {
    fn push(&mut self, event: Event) {
        let at = (self.count % self.capacity as u64) as usize;
        self.count += 1;
        match self.events.get_mut(at) {
            Some(old) => *old = event,
            None => self.events.push(event), // in the memory that was reserved
        }
    }
}

#[repr(C)]
struct Tracer {
    /// First. Accessed by the runtime's trace, and on its thread.
    guest: UnsafeCell<Guest>,
    /// Accessed on the runtime's thread.
    snapshot: UnsafeCell<Option<Snapshot>>,
    name: CString,
    /// That of the runtime.
    thread: ThreadId,
    /// The runtime's trace has not ended.
    on: AtomicBool,
    /// Operations so far.
    flows: AtomicU64,
    ring: Mutex<Ring>,
    shared: Weak<Shared>,
    /// The fork_epoch() in which it was made.
    epoch: u32,
}

// SAFETY: the two cells are accessed on one thread, the rest is Sync.
unsafe impl Sync for Tracer {}
// SAFETY: as above; dropping them is possible anywhere.
unsafe impl Send for Tracer {}

/// The part of a bridge; see [`Shared::traces`].
#[derive(Default)]
pub(crate) struct Traces {
    on: AtomicBool,
    tracer: Mutex<Option<Arc<Tracer>>>,
}

impl Traces {
    /// An operation is submitted, on this thread. None: nothing is traced.
    pub fn submitted(&self, label: Label) -> Option<Traced> {
        // Relaxed: an operation that does not see it yet is not traced.
        if !self.on.load(Ordering::Relaxed) || label.kind() == Kind::Part {
            return None;
        }
        let tracer = lock(&self.tracer).clone()?;
        let flow = tracer.flows.fetch_add(1, Ordering::Relaxed) + 1;
        tracer.mark(What::Submitted, flow);
        Some(Traced {
            tracer,
            flow,
            begun: AtomicI64::new(0),
            thread: AtomicI32::new(0),
            started: AtomicBool::new(false),
            read: AtomicBool::new(false),
        })
    }
}

/// In the block of an operation that is traced. The promise accesses `begun`, `thread` and `started`, the
/// handle `read`: relaxed.
pub(crate) struct Traced {
    tracer: Arc<Tracer>,
    flow: u64,
    /// The begin of the open slice; 0: there is none.
    begun: AtomicI64,
    thread: AtomicI32,
    /// It has had a slice.
    started: AtomicBool,
    /// The answer was read.
    read: AtomicBool,
}

impl Traced {
    /// A slice begins, on this thread.
    pub fn begin(&self) {
        self.begun.store(clock::now(), Ordering::Relaxed);
        self.thread.store(thread_number(), Ordering::Relaxed);
    }

    /// The open slice ends, if there is one, and with it the work if `answered`.
    pub fn end(&self, label: Label, job: Option<&Name>, answered: bool) {
        let at = self.begun.swap(0, Ordering::Relaxed);
        if at == 0 || !self.tracer.on.load(Ordering::Relaxed) {
            return;
        }
        let end = clock::now();
        let slice = Event {
            at,
            took: end - at,
            flow: self.flow,
            thread: self.thread.load(Ordering::Relaxed),
            what: What::Slice,
            title: job.map_or(Title::Label(label), |name| Title::Job(*name)),
        };
        let mark = |what, at| Event {
            at,
            took: 0,
            what,
            ..slice
        };
        let mut ring = lock(&self.tracer.ring);
        ring.push(slice);
        if !self.started.swap(true, Ordering::Relaxed) {
            ring.push(mark(What::Started, at));
        }
        if answered {
            ring.push(mark(What::Answered, end));
        }
    }

    /// The answer is read, on this thread.
    pub fn read(&self) {
        if !self.read.swap(true, Ordering::Relaxed) {
            self.tracer.mark(What::Read, self.flow);
        }
    }
}

impl Tracer {
    /// In a forked child, threads of the parent may hold the locks.
    fn is_forked(&self) -> bool {
        self.epoch != fork_epoch()
    }

    /// Marks the begin or the end of an arrow here and now.
    fn mark(&self, what: What, flow: u64) {
        // Relaxed: on the runtime's thread, which clears it, it is exact; elsewhere a late mark is harmless.
        if !self.on.load(Ordering::Relaxed) || self.is_forked() {
            return;
        }
        if this_thread() != self.thread {
            return lock(&self.ring).push(Event {
                at: clock::now(),
                took: 0,
                flow,
                thread: thread_number(),
                what,
                title: Title::Label(Label::PART),
            });
        }
        let submits = what == What::Submitted;
        let arrow = if submits { SUBMIT } else { ANSWER };
        // SAFETY: this is the runtime's thread, and the trace has not ended.
        unsafe { nart__trace_arrow(self.guest.get(), arrow, submits, flow) }
    }

    /// # Safety
    /// `guest` is that of a tracer that the runtime's trace refers to; on its thread.
    unsafe fn of<'a>(guest: *mut Guest) -> &'a Tracer {
        // SAFETY: the guest is the first field.
        unsafe { &*guest.cast::<Tracer>() }
    }

    /// # Safety
    /// As for of(); and the reference is not used longer than a call of the runtime's trace.
    unsafe fn snapshot<'a>(guest: *mut Guest) -> &'a mut Option<Snapshot> {
        // SAFETY: the caller's promise.
        unsafe { &mut *Tracer::of(guest).snapshot.get() }
    }
}

/// What the kernel calls this thread.
fn thread_number() -> i32 {
    thread_local! {
        // Has no destructor. 0: not known yet.
        static NUMBER: std::cell::Cell<i32> = const { std::cell::Cell::new(0) };
    }
    if NUMBER.get() == 0 {
        // SAFETY: only returns a number.
        NUMBER.set(unsafe { libc::gettid() });
    }
    NUMBER.get()
}

// ---- what the runtime's trace calls ----

unsafe extern "C" fn open(guest: *mut Guest) -> u64 {
    // SAFETY: called by the runtime's trace.
    let tracer = unsafe { Tracer::of(guest) };
    let ring = lock(&tracer.ring);
    let events = ring.events.clone();
    let lost = ring.count - events.len() as u64;
    drop(ring);
    // SAFETY: as above.
    unsafe { *Tracer::snapshot(guest) = Some(Snapshot::new(events)) };
    lost
}

unsafe extern "C" fn begins(guest: *mut Guest, arrow: u32, flow: u64) -> bool {
    // SAFETY: called by the runtime's trace.
    let snapshot = unsafe { Tracer::snapshot(guest) };
    snapshot.as_ref().is_some_and(|s| s.begins(arrow, flow))
}

unsafe extern "C" fn begun(guest: *mut Guest, arrow: u32, flow: u64) {
    // SAFETY: called by the runtime's trace.
    if let Some(snapshot) = unsafe { Tracer::snapshot(guest) } {
        snapshot.add_begin(arrow, flow);
    }
}

unsafe extern "C" fn item(guest: *mut Guest, out: *mut crate::sys::trace::Item) -> bool {
    // SAFETY: called by the runtime's trace; `out` is writable.
    let (snapshot, out) = unsafe { (Tracer::snapshot(guest), &mut *out) };
    let more = snapshot.as_mut().is_some_and(|s| s.next(out));
    if !more {
        *snapshot = None;
    }
    more
}

unsafe extern "C" fn leave(guest: *mut Guest) {
    // SAFETY: called by the runtime's trace, once: this is its reference.
    let tracer = unsafe { Arc::from_raw(guest.cast::<Tracer>().cast_const()) };
    tracer.on.store(false, Ordering::Relaxed);
    if tracer.is_forked() {
        std::mem::forget(tracer);
        return;
    }
    if let Some(shared) = tracer.shared.upgrade() {
        shared.traces.on.store(false, Ordering::Relaxed);
        *lock(&shared.traces.tracer) = None;
    }
}

// ---- starting ----

/// Adds a bridge to the trace of a runtime.
///
/// # Safety
/// `rt` is NULL or live.
pub unsafe fn start(bridge: &Bridge, rt: *mut Rt, events: u32) -> Result<(), Res> {
    let shared = &bridge.0;
    if shared.is_forked() {
        return Err(EFORK);
    }
    if events == 0 {
        return Err(errno(libc::EINVAL));
    }
    let mut slot = lock(&shared.traces.tracer);
    if slot.is_some() {
        return Err(errno(libc::EALREADY));
    }
    let mut ring = Ring {
        events: Vec::new(),
        capacity: events as usize,
        count: 0,
    };
    let no_memory = errno(libc::ENOMEM);
    ring.events
        .try_reserve_exact(ring.capacity)
        .map_err(|_| no_memory)?;
    let name = CString::new(format!("tokio: {}", shared.jobs.name())).unwrap_or_default();
    let tracer = Arc::new(Tracer {
        guest: UnsafeCell::new(Guest {
            next: std::ptr::null_mut(),
            trace: std::ptr::null_mut(),
            name: name.as_ptr(),
            open,
            begins,
            begun,
            item,
            leave,
        }),
        snapshot: UnsafeCell::new(None),
        name,
        thread: this_thread(),
        on: AtomicBool::new(true),
        flows: AtomicU64::new(0),
        ring: Mutex::new(ring),
        shared: Arc::downgrade(shared),
        epoch: fork_epoch(),
    });
    // The reference of the runtime's trace. leave() drops it.
    let guest = Arc::into_raw(tracer.clone()).cast_mut().cast::<Guest>();
    // SAFETY: the caller's promise; the guest is live until leave().
    let joined = Error::check(unsafe { nart__trace_join(rt, guest) });
    if let Err(error) = joined {
        // SAFETY: from into_raw() above.
        drop(unsafe { Arc::from_raw(guest.cast::<Tracer>().cast_const()) });
        return Err(error.code());
    }
    *slot = Some(tracer);
    shared.traces.on.store(true, Ordering::Relaxed);
    Ok(())
}
