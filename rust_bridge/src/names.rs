// SPDX-License-Identifier: MIT OR Apache-2.0
//! Name look-ups, of HTTP requests and of nart_tokio_resolve(), on threads of their own.
//!
//! getaddrinfo() cannot be stopped, and takes as long as the name servers. If it used the blocking
//! pool, slow look-ups would delay blocking functions. And a shutdown can report look-ups that are
//! running.
//!
//! 1. Concurrent requests for one name share one look-up. So a look-up that hangs occupies one
//!    thread, independent of the number of requests.
//! 2. At most MAX look-ups run at the same time, each on a thread; further names are queued in
//!    order. A thread takes the next queued name, and ends when the queue is empty.
//! 3. If no thread can be started, all requests for the name end with -EAGAIN.
//! 4. A request that ends drops its receiver. A queued name without requests is not looked up.
//! 5. close: queued look-ups end, and no others start. wait: until all threads have ended, or a
//!    deadline.
//!
//! Not handled: a look-up that never returns keeps its thread, and MAX of them keep all threads;
//! requests for other names then end with a timeout.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::bridge::lock;
use crate::crew::Crew;
use crate::sys::{errno, Res, ESHUTDOWN};

const MAX: usize = 8;

/// The reason why a name has no addresses.
#[derive(Clone, Debug)]
pub struct Failed {
    /// None: the look-up itself failed.
    pub code: Option<Res>,
    text: String,
}

impl Failed {
    pub fn shut_down() -> Failed {
        let text = "the bridge was shut down".to_owned();
        let code = Some(ESHUTDOWN);
        Failed { code, text }
    }

    fn no_thread(e: &std::io::Error) -> Failed {
        let text = format!("no thread could be started to look up the name: {e}");
        let code = Some(errno(libc::EAGAIN));
        Failed { code, text }
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Failed {}

pub type Reply = Result<Vec<SocketAddr>, Failed>;

struct Lookup {
    name: String,
    requests: Vec<oneshot::Sender<Reply>>,
    running: bool,
}

impl Lookup {
    fn is_wanted(&self) -> bool {
        self.running || self.requests.iter().any(|request| !request.is_closed())
    }
}

#[derive(Default)]
struct State {
    /// In the order of the requests.
    lookups: Vec<Lookup>,
    /// Threads that will look at `lookups` again.
    threads: usize,
    closed: bool,
}

impl State {
    /// Marks the next queued look-up as running, and returns its name.
    fn next(&mut self) -> Option<String> {
        self.lookups.retain(Lookup::is_wanted);
        let next = self.lookups.iter_mut().find(|lookup| !lookup.running)?;
        next.running = true;
        Some(next.name.clone())
    }

    /// Removes a look-up, and returns its requests.
    fn end(&mut self, name: &str) -> Vec<oneshot::Sender<Reply>> {
        let at = self.lookups.iter().position(|lookup| lookup.name == name);
        at.map_or(Vec::new(), |at| self.lookups.remove(at).requests)
    }
}

/// Removes entries that are no longer needed, before a list grows.
fn make_room<T>(list: &mut Vec<T>, is_wanted: impl FnMut(&T) -> bool) {
    if list.len() == list.capacity() {
        list.retain(is_wanted);
    }
}

pub struct Names {
    state: Mutex<State>,
    crew: Arc<Crew>,
}

impl Names {
    pub fn new(crew: Arc<Crew>) -> Arc<Names> {
        Arc::new(Names {
            state: Mutex::default(),
            crew,
        })
    }

    /// Requests a look-up. The channel is closed without a reply if the bridge is shut down before.
    pub fn request(self: &Arc<Names>, name: &str) -> oneshot::Receiver<Reply> {
        let (request, reply) = oneshot::channel();
        let mut state = lock(&self.state);
        if state.closed {
            return reply;
        }
        if let Some(lookup) = state.lookups.iter_mut().find(|l| l.name == name) {
            make_room(&mut lookup.requests, |request| !request.is_closed());
            lookup.requests.push(request);
            return reply;
        }
        make_room(&mut state.lookups, Lookup::is_wanted);
        state.lookups.push(Lookup {
            name: name.to_owned(),
            requests: vec![request],
            running: false,
        });
        if state.threads < MAX {
            if let Err(e) = self.start_thread(&mut state) {
                let requests = state.end(name);
                drop(state);
                send(requests, &Err(Failed::no_thread(&e)));
            }
        }
        reply
    }

    fn start_thread(self: &Arc<Names>, state: &mut State) -> std::io::Result<()> {
        let names = Arc::clone(self);
        self.crew.start(move || names.run())?;
        state.threads += 1;
        Ok(())
    }

    /// The body of a thread.
    fn run(&self) {
        let mut state = lock(&self.state);
        while let Some(name) = state.next() {
            drop(state);
            let reply = addresses(&name);
            state = lock(&self.state);
            let requests = state.end(&name);
            drop(state);
            send(requests, &reply);
            state = lock(&self.state);
        }
        state.threads -= 1;
    }

    /// Ends queued look-ups; no others start.
    pub fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        state.lookups.retain(|lookup| lookup.running);
    }

    /// After close(): waits until `until` for the threads. Returns the names of running look-ups.
    pub fn wait(&self, until: Instant) -> Vec<String> {
        self.crew.wait(until);
        let state = lock(&self.state);
        state.lookups.iter().map(|l| l.name.clone()).collect()
    }
}

fn addresses(name: &str) -> Reply {
    match (name, 0).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(e) => Err(Failed {
            code: None,
            text: e.to_string(),
        }),
    }
}

fn send(requests: Vec<oneshot::Sender<Reply>>, reply: &Reply) {
    for request in requests {
        let _ = request.send(reply.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::threads::Hygiene;

    fn names() -> Arc<Names> {
        Names::new(Crew::new(Hygiene::new(&[]).unwrap(), "names", 0))
    }

    #[test]
    fn a_name_is_looked_up() {
        let names = names();
        let found = names.request("localhost").blocking_recv().unwrap().unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        assert!(!found.is_empty());
        let failed = names
            .request("no name")
            .blocking_recv()
            .unwrap()
            .unwrap_err();
        assert_eq!(failed.code, None);
        assert!(!failed.to_string().is_empty());
    }

    #[test]
    fn a_thread_takes_queued_names_that_have_requests() {
        let mut state = State::default();
        let mut replies = Vec::new();
        for name in ["a", "b", "c"] {
            let (request, reply) = oneshot::channel();
            replies.push(reply);
            state.lookups.push(Lookup {
                name: name.to_owned(),
                requests: vec![request],
                running: false,
            });
        }
        assert_eq!(state.next().as_deref(), Some("a"));
        replies.remove(1);
        assert_eq!(state.next().as_deref(), Some("c"));
        assert_eq!(state.next(), None);
        assert_eq!(state.end("a").len(), 1);
        assert_eq!(state.lookups.len(), 1);
    }

    #[test]
    fn closing_ends_requests() {
        let names = names();
        names.close();
        assert!(names.request("localhost").blocking_recv().is_err());
        assert!(names.wait(Instant::now()).is_empty());
    }
}
