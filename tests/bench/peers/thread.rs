/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! Threads that send to the one that is measured.

use std::sync::OnceLock;
use std::thread::{JoinHandle, spawn, yield_now};

/// A thread that sends 0..n, `send` answering whether there was a place: if not, it tries again. It
/// begins on the processor where it stays, and this one goes to another.
pub fn sender(n: u64, mut send: impl FnMut(u64) -> bool + Send + 'static) -> JoinHandle<()> {
    pin_to(1);
    let thread = spawn(move || {
        for i in 0..n {
            while !send(i) {
                yield_now();
            }
        }
    });
    pin_to(0);
    thread
}

/// Pins this thread to the nth processor of those of the thread that did so first.
pub fn pin_to(n: usize) {
    static CPUS: OnceLock<Vec<usize>> = OnceLock::new();
    let cpu = CPUS.get_or_init(allowed).get(n).copied().expect("this row needs two CPUs");
    // SAFETY: cpu_set_t is plain bits, all-zero is the empty set, and the call only reads it.
    let answer = unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(cpu, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &set)
    };
    assert_eq!(answer, 0, "affinity");
}

fn allowed() -> Vec<usize> {
    // SAFETY: cpu_set_t is plain bits, and the call writes no more than its size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        assert_eq!(libc::sched_getaffinity(0, size_of_val(&set), &mut set), 0, "affinity");
        (0..libc::CPU_SETSIZE as usize).filter(|cpu| libc::CPU_ISSET(*cpu, &set)).collect()
    }
}
