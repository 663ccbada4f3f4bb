// SPDX-License-Identifier: MIT OR Apache-2.0
//! The model checker loom for C files, as they are.
//!
//! `gcc -fsanitize=thread` turns each atomic operation of a C file into a call of `__tsan_*` with the
//! memory order as an argument, and announces each plain access. Here those functions are supplied
//! by loom instead of the sanitizer's runtime:
//!
//! 1. an atomic word is a loom atomic, found by its address;
//! 2. a plain access is an access to a loom `UnsafeCell`, so that data races are found;
//! 3. `nart__relax` yields, an eventfd is a loom `Notify`, so that a lost wake-up is a deadlock;
//! 4. threads are loom threads, which loom runs one at a time on one system thread, in every order
//!    and with every value that the memory model allows, within the scenario's bounds.
//!
//! This is a static library with a `main`: linked to C files compiled that way and to a scenario
//! file (`../model.h`) it makes a program: `program scenario`, `program --list`. It ends with 0 when
//! the scenario holds, with 1 and a message when not.
//!
//! Bounds: 5 threads (loom's own), 7 values remembered per word (loom's own), `memory` and `POOL`
//! below. Neighbours within 4 bytes count as one plain variable. Not seen: load buffering, and what
//! happens inside libc (`memcpy` above all).

mod memory;
mod model;
mod tsan;
