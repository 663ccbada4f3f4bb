// SPDX-License-Identifier: MIT OR Apache-2.0
//! `model.h` under loom: the program, its scenarios, and what scenarios call.

use std::alloc::{alloc, Layout};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::ffi::{c_char, c_int, c_uint, CStr};
use std::process::exit;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use crate::memory;

/// A longer path through one execution is reported as a livelock.
const STEPS_MAX: usize = 20_000;

/// Memory for `model_memory` per execution, in bytes.
const MEMORY: usize = 1 << 20;

/// As in model.h.
#[repr(C)]
struct Scenario {
    name: *const c_char,
    threads: c_uint,
    before: extern "C" fn(),
    thread: extern "C" fn(c_uint),
    after: extern "C" fn(),
    loom: c_int,
    relacy: c_int,
}

// SAFETY: constant data and pointers to constant data.
unsafe impl Sync for Scenario {}

extern "C" {
    static model_scenarios: [Scenario; 0];
}

static EXECUTIONS: AtomicU64 = AtomicU64::new(0);
static WRITES: AtomicU64 = AtomicU64::new(0);
static WAITS: AtomicU64 = AtomicU64::new(0);

loom::thread_local! {
    /// The number of this thread in the scenario.
    static SELF: Cell<c_uint> = Cell::new(0);
}

thread_local! {
    /// The memory, and the bytes that this execution has used.
    static BLOCK: Cell<(*mut u8, usize)> = const { Cell::new((std::ptr::null_mut(), 0)) };
}

fn scenarios() -> impl Iterator<Item = (&'static str, &'static Scenario)> {
    // SAFETY: model.h requires the list in a scenario file, with a NULL name as its end.
    unsafe {
        let first = model_scenarios.as_ptr();
        (0..)
            .map(move |i| &*first.add(i))
            .take_while(|s| !s.name.is_null())
            .map(|s| (CStr::from_ptr(s.name).to_str().expect("a name"), s))
    }
}

/// One of the scenario's threads.
fn run(s: &'static Scenario, number: c_uint) {
    SELF.with(|own| own.set(number));
    (s.thread)(number);
}

/// One execution, on loom's first thread.
fn execute(s: &'static Scenario) {
    EXECUTIONS.fetch_add(1, Relaxed);
    memory::begin();
    BLOCK.set((BLOCK.get().0, 0));
    (s.before)();
    memory::threads_begin();
    let others: Vec<_> = (1..s.threads)
        .map(|i| loom::thread::spawn(move || run(s, i)))
        .collect();
    run(s, 0);
    for thread in others {
        thread.join().expect("a thread of the scenario");
    }
    (s.after)();
    memory::end();
}

/// A backtrace of the C files: a line per function, and one with its source line.
fn c_frames() -> String {
    let trace = Backtrace::force_capture().to_string();
    let lines: Vec<_> = trace.lines().collect();
    let frames = lines.windows(2).filter(|pair| pair[1].contains(".c:"));
    frames.flatten().copied().collect::<Vec<_>>().join("\n")
}

fn check(name: &str, s: &'static Scenario, bound: Option<usize>) {
    // The first failure ends the program: unwinding through C would have no use.
    std::panic::set_hook(Box::new(|info| {
        println!("violated in execution {}: {info}", EXECUTIONS.load(Relaxed));
        println!("{}", c_frames());
        exit(1);
    }));
    let mut model = loom::model::Builder::new(); // which reads some of these from the environment
    model.max_permutations = None;
    model.max_duration = None;
    model.checkpoint_file = None;
    model.preemption_bound = bound;
    model.max_branches = STEPS_MAX;
    let start = Instant::now();
    model.check(move || execute(s));
    assert!(EXECUTIONS.load(Relaxed) > 0, "nothing was executed");
    println!(
        "loom {name}: holds; {} executions ({}), {} waits, {} eventfd writes, {:.1} s",
        EXECUTIONS.load(Relaxed),
        bound.map_or("all".into(), |n| format!("all with {n} preemptions")),
        WAITS.load(Relaxed),
        WRITES.load(Relaxed),
        start.elapsed().as_secs_f32()
    );
}

#[no_mangle]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: the arguments that the C runtime passes to main.
    let argument = |i: c_int| (i < argc).then(|| unsafe { CStr::from_ptr(*argv.add(i as usize)) });
    let text = |i| argument(i).and_then(|a| a.to_str().ok());
    if text(1) == Some("--list") {
        scenarios().for_each(|(name, _)| println!("{name}"));
        return 0;
    }
    let Some((name, s)) = scenarios().find(|(name, _)| text(1) == Some(*name)) else {
        eprintln!("usage: program --list | scenario [bound]");
        return 2;
    };
    let bound = text(2).map_or(s.loom, |n| n.parse().expect("a number"));
    let block = Layout::from_size_align(MEMORY, 4096).expect("a layout");
    // SAFETY: the size is not zero.
    BLOCK.set((unsafe { alloc(block) }, 0));
    check(name, s, usize::try_from(bound).ok());
    0
}

#[no_mangle]
extern "C" fn model_memory(bytes: usize) -> *mut u8 {
    let (block, used) = BLOCK.get();
    let end = (used + bytes).next_multiple_of(64);
    assert!(end <= MEMORY, "model_memory has {MEMORY} bytes");
    BLOCK.set((block, end));
    // SAFETY: the block is large enough, and this part of it is unused.
    unsafe {
        let p = block.add(used);
        p.write_bytes(0, bytes);
        p
    }
}

#[no_mangle]
unsafe extern "C" fn model_check(ok: bool, file: *const c_char, line: c_int, text: *const c_char) {
    if !ok {
        // SAFETY: string literals of the scenario.
        let (file, text) = unsafe { (CStr::from_ptr(file), CStr::from_ptr(text)) };
        panic!(
            "{}:{line}: {}",
            file.to_string_lossy(),
            text.to_string_lossy()
        );
    }
}

#[no_mangle]
extern "C" fn model_self() -> c_uint {
    SELF.with(Cell::get)
}

#[no_mangle]
extern "C" fn model_wait(fd: c_int) {
    WAITS.fetch_add(1, Relaxed);
    memory::event(fd).wait();
}

#[no_mangle]
extern "C" fn model_take(fd: c_int) -> bool {
    memory::event(fd).take()
}

#[no_mangle]
extern "C" fn nart__relax() {
    loom::thread::yield_now();
}

#[no_mangle]
extern "C" fn nart__lock_enter(lock: *const u32) {
    memory::lock(lock as usize);
}

#[no_mangle]
extern "C" fn nart__lock_leave(lock: *const u32) {
    memory::unlock(lock as usize);
}

#[no_mangle]
extern "C" fn nart__sys_eventfd_write(fd: c_int) -> c_int {
    WRITES.fetch_add(1, Relaxed);
    memory::event(fd).write();
    0
}
