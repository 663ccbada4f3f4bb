// SPDX-License-Identifier: MIT OR Apache-2.0
//! The bridge between nart's C runtime and tokio.
//!
//! nart is a single-threaded async runtime for C. With this crate its tasks can use tokio:
//!
//! - **operations**: work that runs elsewhere and that a C task awaits on its loop: futures
//!   ([`Bridge::spawn`]) and async functions ([`export!`]), blocking functions of C, HTTP requests, C
//!   tasks run by tokio;
//! - **local futures**: Rust futures that a C task polls itself, with tokio's context around each
//!   poll ([`Bridge::local`]);
//! - **channels** between C tasks and Rust futures or threads: [`channel`],
//!   [`byte_channel`], [`oneshot`]; and [cancellation](cancel) both ways;
//! - **hosting**: a Rust program runs a C loop inside its tokio runtime ([`Loop`]), or on a thread of
//!   its own ([`LoopThread`]);
//! - **values** that the futures of a bridge share ([`Bridge::get_or_init`]), a pool of connections for
//!   example;
//! - a tokio runtime with options, a shutdown with a deadline and a report, and threads that do not
//!   use the loop's CPU or handle its signals.
//!
//! C programs use it through `nart/tokio.h` and the archive built from `rust_bridge/staticlib`. A
//! program with Rust code of its own builds such an archive itself, because a program can contain
//! one Rust archive only: from a crate with `pub use nart_tokio::*;` beside its own functions, with
//! CMake's `nart_add_umbrella()` (docs/building.md).
//!
//! # Example
//!
//! A function for C, and a bridge for it made by Rust:
//!
//! ```
//! use std::time::Duration;
//! use nart_tokio::{Bridge, Failure, Options};
//!
//! nart_tokio::export! {
//!     /// The first line of a file.
//!     pub async fn first_line(_bridge: &Bridge, path: &str) -> Result<String, Failure> {
//!         let path = path.to_owned();
//!         let text = tokio::task::spawn_blocking(|| std::fs::read_to_string(path)).await??;
//!         Ok(text.lines().next().unwrap_or_default().to_owned())
//!     }
//! }
//!
//! # fn main() -> Result<(), nart_tokio::Error> {
//! let bridge = Bridge::new(&Options::new())?;
//! let operation = bridge.spawn(async { 42 })?;
//! drop(operation); // cancels it; `.await` waits for it, `into_c()` passes it to C
//! bridge.shutdown(Duration::from_secs(1))
//! # }
//! ```
//!
//! # Features
//!
//! `bundled` (the default) compiles the C library; `tls` adds TLS over the sockets of C tasks, `http` HTTP
//! requests for them, and TLS, and `ws` WebSockets, too; `log` lets C tasks read what Rust libraries log
//! (`nart_tokio_log_open()`, `Logs`).
//!
//! # Rules
//!
//! User C code runs on its loop's thread, except functions given to the blocking pool and C tasks
//! given to tokio. No Rust reference to C memory is kept across a return to C. No panic crosses the
//! boundary: it becomes an error with its text.

// Modules:
// - `ffi`: the C interface. `sys`: the declarations of C functions that the bridge calls.
// - `export`: functions of Rust for C. `failure`: their errors.
// - `op`: the block of an operation. `operation`: its handle for Rust code. `outcome`: its result.
//   `state`: the word that its two owners share. `future`: what tokio runs. `on_done`: a function
//   call at the end of an operation. `observe`: times, and a listing.
// - `bridge`, `options`, `adopt`, `tracker`, `shutdown`: the lifecycle of a bridge. `values`: what its
//   futures share. `error`: of Rust functions.
// - The four kinds of work: `blocking`; `http`; `ctask` with `poll_context` and `io`; `local` with
//   `locals`. `resolve` with `names`: look-ups of names.
// - `tls`: TLS over the sockets of C tasks, and certificates.
// - `trace`: the bridge's part of a runtime's trace.
// - `logs`: what Rust libraries log, for C tasks.
// - `ends`: channels and tokens for Rust code: byte_channel, cancel, channel, oneshot.
// - `host`: a loop of C inside a tokio runtime of the program, or on a thread of its own.
// - `threads`, `crew`, `signals`, `panic`, `clock`, `waker`: used by all.

mod adopt;
mod batch;
mod blocking;
mod bridge;
mod clock;
mod crew;
mod ctask;
/// cbindgen:ignore
mod ends;
mod error;
/// cbindgen:ignore
mod export;
mod failure;
mod ffi;
mod future;
/// cbindgen:ignore
mod host;
/// cbindgen:ignore
#[cfg(feature = "http")]
mod http;
mod io;
mod local;
mod locals;
/// cbindgen:ignore
#[cfg_attr(not(feature = "log"), path = "logs/off.rs")]
mod logs;
/// cbindgen:ignore
#[cfg(all(test, miri))]
mod miri;
mod names;
mod observe;
mod on_done;
mod op;
mod operation;
mod options;
mod outcome;
mod panic;
mod poll_context;
mod resolve;
mod shutdown;
mod signals;
mod spawn_queue;
mod start;
mod state;
/// cbindgen:ignore
mod sys;
mod threads;
/// cbindgen:ignore
#[cfg(feature = "tls")]
mod tls;
/// cbindgen:ignore
mod trace;
mod tracker;
/// cbindgen:ignore
mod values;
mod waker;
mod waker_cell;

pub use blocking::{BlockingFn, DropFn, Name, Stop};
pub use bridge::{Bridge, Refused};
pub use ends::{byte_channel, cancel, channel, oneshot};
pub use error::Error;
pub use export::{export, Answer, Field, Value};
pub use failure::Failure;
pub use ffi::*;
pub use host::{Loop, LoopHandle, LoopOptions, LoopThread, RemoteTask, Task};
pub use local::Local;
#[cfg(feature = "log")]
pub use logs::Logs;
pub use observe::{Leg, Stats};
pub use operation::Operation;
pub use options::Options;
pub use outcome::{Outcome, Status};
pub use sys::work::Workers;
pub use sys::{Cx, NartWaker, Res, Rt, TaskType};

/// The examples of the README are compiled and run.
///
/// cbindgen:ignore
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What the macro `export!` uses.
#[doc(hidden)]
pub mod __export {
    pub use crate::export::text::{is_word, line, line_len, Piece};
    pub use crate::export::{
        byte_string, c_string, c_type, depth, optional_string, start, string, struct_outcome,
        Answer, Field, Value,
    };
}
