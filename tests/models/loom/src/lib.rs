// SPDX-License-Identifier: MIT OR Apache-2.0
//! The model checker loom for unmodified C files.
//!
//! `gcc -fsanitize=thread` turns each atomic operation of a C file into a call of `__tsan_*` with the
//! memory order as an argument, and reports each plain access. This crate implements those functions
//! with loom instead of the sanitizer's runtime:
//!
//! 1. an atomic word is a loom atomic, looked up by its address;
//! 2. a plain access is an access to a loom `UnsafeCell`, so that loom reports data races;
//! 3. `nart__relax` yields, an eventfd is a loom `Notify`, so that a lost wake-up is a deadlock;
//! 4. threads are loom threads, which loom runs one at a time on one system thread, in every order
//!    and with every value that the memory model allows, within the scenario's bounds.
//!
//! This is a static library with a `main`: link it with C files compiled that way and a scenario file
//! (`../model.h`) to get a program: `program scenario`, `program --list`. The program exits with 0 if
//! the scenario holds, else with 1 and a message.
//!
//! Bounds: 5 threads (loom's own), 7 values remembered per word (loom's own), `memory` and `POOL`
//! below. All plain variables within 4 bytes count as one. Not detected: load buffering, and accesses
//! inside libc (above all `memcpy`).

mod memory;
mod model;
mod tsan;
