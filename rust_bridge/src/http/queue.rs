// SPDX-License-Identifier: MIT OR Apache-2.0
//! The queue of HTTP requests: they are submitted without an allocation on the loop's thread.
//!
//! Spawning a future allocates on the spawning thread. So a request is written into its operation's
//! own block, and the block's promise is pushed to a queue with preallocated memory. One tokio
//! task, the dispatcher, pops it and spawns the future on its own thread.
//!
//! Bounds: `max` requests run at the same time, and `cap` wait for the dispatcher or for one of those
//! to end; a further one is refused with -EAGAIN. When the dispatcher ends, by close() or with its
//! runtime, queued requests end too.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

use super::client::Client;
use super::config::Config;
use super::exchange::exchange;
use super::streams::{HeadPromise, Streams};
use crate::bridge::{lock, Shared};
use crate::future::Supervised;
use crate::names::Names;
use crate::op::{self, Handle, Label, Promise};
use crate::sys::{errno, Res, EFORK, ESHUTDOWN};

/// A request in the queue. It is dropped in this order: see HeadPromise.
struct Request {
    streams: Option<Box<Streams>>,
    client: Arc<Client>,
    /// The request itself is in the operation's block.
    promise: Promise,
}

/// The operations of a request.
pub struct Begun {
    pub request: Handle,
    pub head: Option<Handle>,
}

struct Inner {
    requests: VecDeque<Request>,
    /// Those, and the ones for which the dispatcher has spawned a future that has no permit yet.
    waiting: usize,
    closed: bool,
}

pub struct HttpQueue {
    inner: Mutex<Inner>,
    more: Notify,
    cap: usize,
    permits: Arc<Semaphore>,
    /// For requests that name no other.
    pub client: Arc<Client>,
}

/// A request that has left the queue and waits for its permit.
pub struct Waiting(Arc<Shared>);

impl Waiting {
    pub fn bridge(&self) -> Arc<Shared> {
        self.0.clone()
    }

    /// Waits for a permit, which the request holds until it has ended.
    pub async fn permit(self) -> Option<OwnedSemaphorePermit> {
        let permits = self.0.http.permits.clone();
        permits.acquire_owned().await.ok() // it is never closed
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        lock(&self.0.http.inner).waiting -= 1;
    }
}

impl HttpQueue {
    /// None if there is no memory.
    pub fn new(cap: u32, max: u32, names: Arc<Names>) -> Option<HttpQueue> {
        let cap = cap as usize;
        let mut requests = VecDeque::new();
        requests.try_reserve_exact(cap).ok()?;
        let inner = Mutex::new(Inner {
            requests,
            waiting: 0,
            closed: false,
        });
        Some(HttpQueue {
            inner,
            more: Notify::new(),
            cap,
            permits: Arc::new(Semaphore::new(max as usize)),
            client: Client::new(Config::default(), names),
        })
    }

    /// Queues a request, which `write` writes into the operation's block. `streams` is taken if it is
    /// queued, and unchanged if not.
    pub fn submit(
        shared: &Arc<Shared>,
        client: &Arc<Client>,
        streams: &mut Option<Box<Streams>>,
        with_head: bool,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Result<Begun, Res> {
        if shared.is_forked() {
            return Err(EFORK);
        }
        let queue = &shared.http;
        let mut inner = lock(&queue.inner);
        if inner.closed {
            return Err(ESHUTDOWN);
        }
        if inner.waiting >= queue.cap {
            return Err(errno(libc::EAGAIN));
        }
        let label = streams.as_ref().map_or(Label::REQUEST, |s| s.label());
        let (request, mut promise) = op::begin(shared, label)?;
        let mut head = None;
        if with_head {
            let begun = op::begin(shared, Label::PART).inspect_err(|_| request.detach())?;
            head = Some(begun.0);
            // SAFETY: a Request, and what is spawned for it, drop the streams first.
            let promised = unsafe { HeadPromise::new(begun.1, &promise) };
            streams.get_or_insert_default().head = Some(promised);
        }
        promise.write_request(write);
        inner.requests.push_back(Request {
            streams: streams.take(),
            client: client.clone(),
            promise,
        });
        inner.waiting += 1;
        drop(inner);
        queue.more.notify_one();
        Ok(Begun { request, head })
    }

    /// The number of requests that have not started.
    pub fn waiting(&self) -> usize {
        lock(&self.inner).waiting
    }

    /// Ends queued requests and the dispatcher.
    pub fn close(&self) {
        let mut inner = lock(&self.inner);
        inner.closed = true;
        let ended = std::mem::take(&mut inner.requests);
        drop(inner);
        self.more.notify_one();
        drop(ended); // publishes, without the lock
    }

    /// The next request. None: the queue is empty. Err: it is closed.
    fn next(&self) -> Result<Option<Request>, ()> {
        let mut inner = lock(&self.inner);
        match inner.requests.pop_front() {
            None if inner.closed => Err(()),
            next => Ok(next),
        }
    }
}

/// Starts the dispatcher, which keeps the bridge alive until its queue is closed.
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
                // The promise first: so it is dropped last.
                Some(Request {
                    mut promise,
                    streams,
                    client,
                }) => {
                    let request = promise.read_request();
                    let waiting = Waiting(shared.clone());
                    let sent = exchange(client, request, waiting, streams);
                    drop(shared.handle.spawn(Supervised::new(sent, promise)));
                }
                None => shared.http.more.notified().await,
            }
        }
    };
    drop(shared.handle.spawn(dispatch));
}
