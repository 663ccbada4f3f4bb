// SPDX-License-Identifier: MIT OR Apache-2.0
//! The crate as a program of Rust uses it: with a tokio runtime of its own.

mod adopt;
mod api;
mod body;
mod guest;
mod lend;
mod operation;
mod thread;

use std::future::Future;

use tokio::runtime::{Builder, Runtime};

/// An errno, as the crate returns it.
fn errno(e: i32) -> i64 {
    -i64::from(e)
}

fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn two_workers() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
}

/// Runs `test` as `#[tokio::main]` does, once on each flavour of runtime.
fn on_each_flavour<F: Future>(test: impl Fn() -> F) {
    for runtime in [one_thread(), two_workers()] {
        runtime.block_on(test());
    }
}
