// SPDX-License-Identifier: MIT OR Apache-2.0
//! Starts a tokio runtime with all of its threads, or none.
//!
//! If tokio cannot start one of its threads, it panics, and during the unwinding it joins the threads
//! that it has started. Those never end, so neither would the join. Therefore:
//!
//! 1. As many threads are started and ended before: usually that is where one is refused.
//! 2. One may still be refused afterwards, because another program has started threads meanwhile. So the
//!    runtime is built inside the context of another runtime, where tokio does not join during a panic.
//!    That context is on a thread of its own, because the calling thread may have one already.
//! 3. Each new thread waits at a [`Gate`] until the build has ended. If the build failed, the thread
//!    ends without having run anything. tokio leaks its queue then, and with it three descriptors.

use std::io;
use std::panic::resume_unwind;
use std::sync::{Arc, Condvar, Mutex};

use tokio::runtime::{Builder, Runtime};

use crate::bridge::lock;
use crate::panic::catch;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Built {
    NotYet,
    Yes,
    Failed,
}

/// Holds back the threads of a runtime until all of them have started.
struct Gate {
    built: Mutex<Built>,
    changed: Condvar,
}

impl Gate {
    fn open(&self, built: Built) {
        *lock(&self.built) = built;
        self.changed.notify_all();
    }

    /// Waits for the end of the build. False if it failed.
    fn pass(&self) -> bool {
        let mut built = lock(&self.built);
        while *built == Built::NotYet {
            let woken = self.changed.wait(built);
            built = woken.unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        *built == Built::Yes
    }
}

/// Starts `n` threads that exist at the same time, and ends them.
fn try_threads(n: u32, stack: usize) -> io::Result<()> {
    let all_started = Mutex::new(());
    std::thread::scope(|scope| {
        let _held = lock(&all_started);
        for _ in 0..n {
            std::thread::Builder::new()
                .stack_size(stack)
                .spawn_scoped(scope, || drop(lock(&all_started)))?;
        }
        Ok(())
    })
}

/// Builds a runtime with so many workers and a stack of so many bytes for each thread. `on_start` runs
/// first on each of its threads.
///
/// # Errors
/// EAGAIN if a thread could not be started; else those of tokio.
pub fn runtime(
    mut builder: Builder,
    workers: u32,
    stack: usize,
    on_start: impl Fn() + Send + Sync + 'static,
) -> io::Result<Runtime> {
    try_threads(workers + 1, stack)?; // the one that builds, too
    builder
        .worker_threads(workers as usize)
        .thread_stack_size(stack);
    let gate = Arc::new(Gate {
        built: Mutex::new(Built::NotYet),
        changed: Condvar::new(),
    });
    let held = gate.clone();
    builder.on_thread_start(move || {
        if !held.pass() {
            resume_unwind(Box::new(())); // ends the thread, and reports nothing
        }
        on_start();
    });
    let build = move || {
        let context = Builder::new_current_thread().build()?;
        context.block_on(async { builder.build() })
    };
    let built = std::thread::Builder::new()
        .name("nart-tokio-new".into())
        .spawn(|| catch(build))?
        .join();
    let built = match built {
        Ok(Ok(built)) => built,
        _ => Err(io::Error::from_raw_os_error(libc::EAGAIN)),
    };
    gate.open(if built.is_ok() {
        Built::Yes
    } else {
        Built::Failed
    });
    built
}
