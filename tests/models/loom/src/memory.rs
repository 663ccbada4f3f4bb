// SPDX-License-Identifier: MIT OR Apache-2.0
//! The loom object of each address, in the current execution.
//!
//! loom records the thread that creates an object, and counts the creation as a first write. If an
//! object were created on first touch, accesses by other threads would race with its creation. So a
//! stock is created before the threads start, and assigned to addresses on first touch:
//!
//! * Atomics start as zero; touch a nonzero word before the threads start.
//! * Memory touched before the threads start gets cells of the stock; until then only one thread runs,
//!   so accesses need no check. Other plain memory gets a cell created by the thread that touches it
//!   first: touch memory that several threads read without synchronization before they start.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;
use std::sync::atomic::AtomicUsize;

use loom::cell::UnsafeCell;
use loom::sync::atomic::Ordering::Relaxed;
use loom::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64, AtomicU8};
use loom::sync::{Mutex, MutexGuard, Notify};

/// Atomics of each size in stock.
const ATOMICS: usize = 6;

/// Locks in stock.
const LOCKS: usize = 2;

/// Cells in stock in the first execution; later ones have the maximum used so far, and a reserve.
const CELLS_FIRST: usize = 1024;
const CELLS_SPARE: usize = 32;
static CELLS_USED: AtomicUsize = AtomicUsize::new(0);

/// As in model.h.
const EVENTS: usize = 3;

/// A hash for addresses, cheaper than the standard one.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn write(&mut self, _: &[u8]) {
        unreachable!("keys are addresses")
    }
    fn write_usize(&mut self, address: usize) {
        self.0 = (address as u64)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .swap_bytes();
    }
    fn finish(&self) -> u64 {
        self.0
    }
}

type AddressHash = BuildHasherDefault<AddressHasher>;

/// The objects of one kind.
pub struct Objects<T> {
    at: HashMap<usize, Rc<T>, AddressHash>,
    stock: Vec<Rc<T>>,
}

impl<T> Objects<T> {
    fn new(stock: usize, make: impl Fn() -> T) -> Self {
        Objects {
            at: HashMap::default(),
            stock: (0..stock).map(|_| Rc::new(make())).collect(),
        }
    }

    /// The object of an address; on first touch, what `make` returns, or one of the stock for None.
    fn get(&mut self, address: usize, make: impl FnOnce() -> Option<T>) -> Rc<T> {
        if let Some(object) = self.at.get(&address) {
            return object.clone();
        }
        let object = make().map(Rc::new).unwrap_or_else(|| {
            self.stock
                .pop()
                .expect("the threads touch no more than is in stock")
        });
        self.at.insert(address, object.clone());
        object
    }
}

/// An eventfd, polled edge-triggered or reset by the waiter: it is set or not.
pub struct Event {
    set: AtomicBool,
    waiter: Notify,
}

impl Event {
    pub fn write(&self) {
        self.set.swap(true, Relaxed);
        self.waiter.notify();
    }

    /// Returns whether it was set, and resets it.
    pub fn take(&self) -> bool {
        self.set.swap(false, Relaxed)
    }

    /// Waits until it is set, or spuriously (once, as loom's Notify does), and resets it.
    pub fn wait(&self) {
        if !self.take() {
            self.waiter.wait();
            self.take();
        }
    }
}

pub struct World {
    a8: Objects<AtomicU8>,
    a16: Objects<AtomicU16>,
    a32: Objects<AtomicU32>,
    a64: Objects<AtomicU64>,
    cells: Objects<UnsafeCell<()>>,
    /// Memory touched before the threads started.
    touched: HashSet<usize, AddressHash>,
    events: Vec<Rc<Event>>,
    /// Declared before the locks, which they refer to, so that they are dropped first.
    held: HashMap<usize, MutexGuard<'static, ()>, AddressHash>,
    locks: Objects<Mutex<()>>,
    /// Threads other than the first one exist.
    threads: bool,
}

thread_local! {
    /// loom runs all its threads on one system thread, so they share this world.
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

fn cells_in_stock() -> usize {
    match CELLS_USED.load(Relaxed) {
        0 => CELLS_FIRST,
        used => used + CELLS_SPARE,
    }
}

/// Starts the world of an execution.
pub fn begin() {
    let event = || Event {
        set: AtomicBool::new(false),
        waiter: Notify::new(),
    };
    let world = World {
        a8: Objects::new(ATOMICS, || AtomicU8::new(0)),
        a16: Objects::new(ATOMICS, || AtomicU16::new(0)),
        a32: Objects::new(ATOMICS, || AtomicU32::new(0)),
        a64: Objects::new(ATOMICS, || AtomicU64::new(0)),
        cells: Objects::new(cells_in_stock(), || UnsafeCell::new(())),
        touched: HashSet::default(),
        events: (0..EVENTS).map(|_| Rc::new(event())).collect(),
        held: HashMap::default(),
        locks: Objects::new(LOCKS, || Mutex::new(())),
        threads: false,
    };
    WORLD.set(Some(world));
}

/// From now on first touches are served from the stock.
pub fn threads_begin() {
    with(|world| world.threads = true);
}

/// Ends the world. Call inside the execution: the objects belong to loom.
pub fn end() {
    let world = WORLD.take().expect("inside an execution");
    let used = cells_in_stock() - world.cells.stock.len();
    CELLS_USED.fetch_max(used, Relaxed);
}

fn with<R>(f: impl FnOnce(&mut World) -> R) -> R {
    WORLD.with_borrow_mut(|world| f(world.as_mut().expect("inside an execution")))
}

/// The word types, each with its table in the world.
pub trait Word: Copy + Default + PartialEq {
    type Atomic: 'static;
    fn new_atomic(value: Self) -> Self::Atomic;
    fn objects(world: &mut World) -> &mut Objects<Self::Atomic>;
}

macro_rules! word {
    ($int:ty, $atomic:ty, $field:ident) => {
        impl Word for $int {
            type Atomic = $atomic;
            fn new_atomic(value: Self) -> Self::Atomic {
                <$atomic>::new(value)
            }
            fn objects(world: &mut World) -> &mut Objects<Self::Atomic> {
                &mut world.$field
            }
        }
    };
}

word!(u8, AtomicU8, a8);
word!(u16, AtomicU16, a16);
word!(u32, AtomicU32, a32);
word!(u64, AtomicU64, a64);

/// The atomic of the word at `p`.
///
/// # Safety
/// `p` must be readable.
pub unsafe fn atomic<T: Word>(p: *const T) -> Rc<T::Atomic> {
    // SAFETY: the caller guarantees it; no other system thread exists.
    let value = unsafe { *p };
    with(|world| {
        let own = !world.threads || value != T::default();
        T::objects(world).get(p as usize, || own.then(|| T::new_atomic(value)))
    })
}

/// Calls `f` with the cell of each group of 4 bytes that overlaps `address .. address + size`.
pub fn cells(address: usize, size: usize, f: impl Fn(&UnsafeCell<()>)) {
    for group in address / 4..=(address + size - 1) / 4 {
        let cell = with(|world| {
            if !world.threads {
                world.touched.insert(group);
                return None;
            }
            let own = !world.touched.contains(&group);
            let make = || own.then(|| UnsafeCell::new(()));
            Some(world.cells.get(group, make))
        });
        if let Some(cell) = cell {
            f(&cell);
        }
    }
}

pub fn event(fd: i32) -> Rc<Event> {
    with(|world| world.events[usize::try_from(fd).expect("an eventfd")].clone())
}

/// Acquires the lock at this address.
pub fn lock(address: usize) {
    // Always from the stock: one created here would belong to its first owner.
    let mutex = with(|world| world.locks.get(address, || None));
    let guard = mutex.lock().expect("nothing has panicked");
    // SAFETY: the world keeps the mutex alive as long as the guard.
    let guard =
        unsafe { std::mem::transmute::<MutexGuard<'_, ()>, MutexGuard<'static, ()>>(guard) };
    with(|world| world.held.insert(address, guard));
}

pub fn unlock(address: usize) {
    let guard = with(|world| world.held.remove(&address));
    drop(guard.expect("it is held"));
}
