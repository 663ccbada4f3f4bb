// SPDX-License-Identifier: MIT OR Apache-2.0
//! Threads of a bridge beside tokio's and those of the pool: for name look-ups. They are
//! started on demand and end by themselves; a shutdown waits for them.

use std::io;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::bridge::{lock, wait_while};
use crate::signals::with_signals_blocked;
use crate::threads::Hygiene;

#[derive(Default)]
struct Inner {
    running: usize,
    handles: Vec<JoinHandle<()>>,
}

pub struct Crew {
    inner: Mutex<Inner>,
    ended: Condvar,
    hygiene: Hygiene,
    name: String,
    stack: usize,
}

/// A running thread. Dropped as the last of what it does.
struct Running(Arc<Crew>);

impl Drop for Running {
    fn drop(&mut self) {
        lock(&self.0.inner).running -= 1;
        self.0.ended.notify_all();
    }
}

impl Crew {
    pub fn new(hygiene: Hygiene, name: &str, stack: usize) -> Arc<Crew> {
        Arc::new(Crew {
            inner: Mutex::default(),
            ended: Condvar::new(),
            hygiene,
            name: name.to_owned(),
            stack,
        })
    }

    /// Runs `body` on a new thread.
    pub fn start(self: &Arc<Crew>, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let hygiene = self.hygiene;
        let running = Running(self.clone());
        let thread = std::thread::Builder::new()
            .name(self.name.clone())
            .stack_size(self.stack);
        let run = move || {
            let _running = running;
            hygiene.apply();
            body();
        };
        let mut inner = lock(&self.inner);
        inner.running += 1;
        let (ended, live): (Vec<_>, Vec<_>) = std::mem::take(&mut inner.handles)
            .into_iter()
            .partition(JoinHandle::is_finished);
        inner.handles = live;
        drop(inner);
        drop(ended);
        let handle = with_signals_blocked(|| thread.spawn(run))?; // an error drops `running`
        lock(&self.inner).handles.push(handle);
        Ok(())
    }

    /// Waits until `until` for all threads. Returns the number of those that have not ended.
    pub fn wait(&self, until: Instant) -> usize {
        let inner = lock(&self.inner);
        let mut inner = wait_while(&self.ended, inner, until, |inner| inner.running > 0);
        let running = inner.running;
        let handles = std::mem::take(&mut inner.handles);
        drop(inner);
        for handle in handles {
            if running == 0 || handle.is_finished() {
                let _ = handle.join(); // returns soon: the thread does nothing more
            }
        }
        running
    }
}
