// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge between nart's C runtime and tokio.
//!
//! nart is a single-threaded async runtime for C. This crate gives its tasks the world of tokio:
//!
//! - **operations**: work that runs elsewhere and is awaited by a C task on its loop: futures
//!   ([`Bridge::spawn`], [`export`]), blocking functions of C, HTTP requests, C tasks run by tokio;
//! - **local futures**: Rust futures that a C task polls itself, with tokio's context around each
//!   poll ([`Bridge::local`]);
//! - a runtime with options, a shutdown with a deadline and a report, and threads that leave the
//!   loop's CPU and signals alone.
//!
//! C programs use it through `nart/tokio.h` and the archive that `rust_bridge/staticlib` makes. A
//! program with Rust code of its own makes such an archive itself: a crate of type `staticlib` with
//! `pub use nart_tokio::*;` and its own functions beside it, because a program can hold one Rust
//! archive only.
//!
//! # Rules
//!
//! User C code runs on its loop's thread, except functions given to the blocking pool and C tasks
//! given to tokio. No Rust reference to C memory lives across a return to C. No panic crosses the
//! boundary: it becomes an answer, with its text.
//!
//! # How it is made
//!
//! `ffi` is the C interface, `sys` what is used of C's. `state` decides between the two owners of an
//! operation, `op` is their block, `future` what tokio runs, `on_done` reports its end by a function call. `bridge`, `tracker` and `shutdown` are the
//! life of a bridge; `blocking`, `http_queue` with `http`, `redirect` and `names`, `ctask` and `local` the four kinds of work;
//! `threads`, `panic`, `clock` and `waker` what all need.

mod blocking;
mod bridge;
mod clock;
mod ctask;
mod ffi;
#[cfg(feature = "http")]
mod framing;
mod future;
/// cbindgen:ignore
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "http")]
mod http_queue;
mod local;
#[cfg(feature = "http")]
mod names;
mod on_done;
mod op;
mod panic;
/// cbindgen:ignore
#[cfg(feature = "http")]
mod redirect;
mod shutdown;
mod state;
/// cbindgen:ignore
mod sys;
mod threads;
mod tracker;
mod waker;

pub use blocking::{BlockingFn, DropFn, Name, Stop};
pub use bridge::{export, Bridge, Operation, Options, Refused};
pub use ffi::*;
pub use local::Local;
pub use op::{Outcome, Status};
pub use sys::{Cx, NartWaker, Res, Rt, TaskType};
