// SPDX-License-Identifier: MIT OR Apache-2.0
//! How requests leave the hot thread without an allocation there.
//!
//! Spawning a future allocates on the thread that spawns. So a request is written into its
//! operation's own block, the block's promise is put into a queue whose memory is made in advance, and
//! one tokio task, the dispatcher, takes it out and spawns the real future on its own thread.
//!
//! Bounds: `cap` requests that have not been taken out; one more is refused with -EAGAIN.
//! When the dispatcher ends, by close or with its runtime, what is queued ends with it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::Notify;

use crate::bridge::{lock, Shared};
use crate::future::Supervised;
use crate::http::{self, Client};
use crate::nart::{errno, Res, EFORK, ESHUTDOWN};
use crate::op::{self, Handle, Promise};

struct Queue {
    waiting: VecDeque<Promise>,
    closed: bool,
}

pub struct Lane {
    queue: Mutex<Queue>,
    more: Notify,
    cap: usize,
    pub client: Client,
}

impl Lane {
    /// None when there is no memory.
    pub fn new(cap: u32) -> Option<Lane> {
        let cap = cap as usize;
        let mut waiting = VecDeque::new();
        waiting.try_reserve_exact(cap).ok()?;
        let queue = Mutex::new(Queue {
            waiting,
            closed: false,
        });
        Some(Lane {
            queue,
            more: Notify::new(),
            cap,
            client: Client::default(),
        })
    }

    /// `write` puts the request into the operation's block.
    pub fn submit(shared: &Arc<Shared>, write: impl FnOnce(&mut Vec<u8>)) -> Result<Handle, Res> {
        if shared.is_forked() {
            return Err(EFORK);
        }
        let lane = &shared.http;
        let mut queue = lock(&lane.queue);
        if queue.closed {
            return Err(ESHUTDOWN);
        }
        if queue.waiting.len() >= lane.cap {
            return Err(errno(libc::EAGAIN));
        }
        let (handle, mut promise) = op::begin(shared)?;
        promise.write_request(write);
        queue.waiting.push_back(promise);
        drop(queue);
        lane.more.notify_one();
        Ok(handle)
    }

    /// What has not been taken out ends; the dispatcher, too.
    pub fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.closed = true;
        let ended = std::mem::take(&mut queue.waiting);
        drop(queue);
        self.more.notify_one();
        drop(ended); // publishes, without the lock
    }

    /// Err: closed.
    fn next(&self) -> Result<Option<Promise>, ()> {
        let mut queue = lock(&self.queue);
        match queue.waiting.pop_front() {
            None if queue.closed => Err(()),
            next => Ok(next),
        }
    }
}

/// Starts the dispatcher, which keeps the bridge until its lane is closed.
pub fn start(shared: &Arc<Shared>) {
    struct Dispatcher(Arc<Shared>);
    impl Drop for Dispatcher {
        fn drop(&mut self) {
            self.0.http.close();
        }
    }
    let dispatcher = Dispatcher(shared.clone());
    let dispatch = async move {
        let shared = &dispatcher.0;
        while let Ok(next) = shared.http.next() {
            match next {
                Some(mut promise) => {
                    let request = promise.read_request();
                    let exchange = http::exchange(shared.clone(), request);
                    drop(shared.handle.spawn(Supervised::new(exchange, promise)));
                }
                None => shared.http.more.notified().await,
            }
        }
    };
    drop(shared.handle.spawn(dispatch));
}
