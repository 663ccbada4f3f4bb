// SPDX-License-Identifier: MIT OR Apache-2.0
//! Name look-ups of HTTP requests, apart from everything else that blocks.
//!
//! getaddrinfo() cannot be stopped, and takes as long as the name servers do. So it has threads of its
//! own, which no blocking function waits for, and the shutdown of a bridge knows what still runs.
//!
//! 1. A name is looked up once for all requests that ask for it at the same time. So a name that hangs
//!    takes one thread, whatever number of requests asks for it.
//! 2. At most MAX look-ups run at once, each on a thread; further names wait, in order. A thread takes the
//!    next name when it has one, and ends when no name waits.
//! 3. Without a thread, everyone who asks for the name gets -EAGAIN.
//! 4. A request that ends drops its receiver; a name that nobody asks for any more is not begun.
//! 5. close: what waits ends, and nothing is begun. wait: until the threads have ended, or a deadline.
//!
//! Not handled: a look-up that never returns keeps its thread, and MAX of them all threads; requests to
//! other names then end by their timeout.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Instant;

use reqwest::dns::{Addrs, Resolve, Resolving};
use tokio::sync::oneshot;

use crate::bridge::lock;
use crate::sys::{errno, Res, ESHUTDOWN};
use crate::threads::{with_signals_blocked, Hygiene};

const MAX: usize = 8;
/// The modules of the name service switch take some.
const STACK_MIN: usize = 256 << 10;

/// Why a name has no addresses.
#[derive(Clone, Debug)]
pub struct Failed {
    /// None: it was looked up.
    pub code: Option<Res>,
    text: String,
}

impl Failed {
    fn shut_down() -> Failed {
        let text = "the bridge has been shut down".to_owned();
        let code = Some(ESHUTDOWN);
        Failed { code, text }
    }

    fn no_thread(e: &std::io::Error) -> Failed {
        let text = format!("no thread to look the name up: {e}");
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

type Answer = Result<Vec<SocketAddr>, Failed>;

struct Lookup {
    name: String,
    asking: Vec<oneshot::Sender<Answer>>,
    running: bool,
}

impl Lookup {
    fn is_wanted(&self) -> bool {
        self.running || self.asking.iter().any(|asks| !asks.is_closed())
    }
}

#[derive(Default)]
struct Book {
    /// In the order in which they were asked for.
    lookups: Vec<Lookup>,
    /// Threads that have not looked at `lookups` for the last time.
    threads: usize,
    handles: Vec<JoinHandle<()>>,
    closed: bool,
}

impl Book {
    /// The next name that waits; it runs from now on.
    fn next(&mut self) -> Option<String> {
        self.lookups.retain(Lookup::is_wanted);
        let next = self.lookups.iter_mut().find(|lookup| !lookup.running)?;
        next.running = true;
        Some(next.name.clone())
    }

    /// Ends a look-up; who asked for it.
    fn end(&mut self, name: &str) -> Vec<oneshot::Sender<Answer>> {
        let at = self.lookups.iter().position(|lookup| lookup.name == name);
        at.map_or(Vec::new(), |at| self.lookups.remove(at).asking)
    }
}

/// Drops what is not wanted before a list grows.
fn make_room<T>(list: &mut Vec<T>, is_wanted: impl FnMut(&T) -> bool) {
    if list.len() == list.capacity() {
        list.retain(is_wanted);
    }
}

pub struct Names {
    book: Mutex<Book>,
    ended: Condvar,
    hygiene: Hygiene,
    thread_name: String,
    stack: usize,
}

impl Names {
    pub fn new(hygiene: Hygiene, thread_name: &str, stack: usize) -> Arc<Names> {
        Arc::new(Names {
            book: Mutex::default(),
            ended: Condvar::new(),
            hygiene,
            thread_name: thread_name.to_owned(),
            stack: stack.max(STACK_MIN),
        })
    }

    /// The answer comes when the name has been looked up; none: shut down before.
    fn ask(self: &Arc<Names>, name: &str) -> oneshot::Receiver<Answer> {
        let (asks, answer) = oneshot::channel();
        let mut book = lock(&self.book);
        if book.closed {
            return answer;
        }
        if let Some(lookup) = book.lookups.iter_mut().find(|l| l.name == name) {
            make_room(&mut lookup.asking, |asks| !asks.is_closed());
            lookup.asking.push(asks);
            return answer;
        }
        make_room(&mut book.lookups, Lookup::is_wanted);
        book.lookups.push(Lookup {
            name: name.to_owned(),
            asking: vec![asks],
            running: false,
        });
        if book.threads < MAX {
            if let Err(e) = self.start_thread(&mut book) {
                let asking = book.end(name);
                drop(book);
                reply(asking, &Err(Failed::no_thread(&e)));
            }
        }
        answer
    }

    fn start_thread(self: &Arc<Names>, book: &mut Book) -> std::io::Result<()> {
        let (ended, live): (Vec<_>, Vec<_>) = std::mem::take(&mut book.handles)
            .into_iter()
            .partition(JoinHandle::is_finished);
        book.handles = live;
        drop(ended);
        let names = Arc::clone(self);
        let thread = std::thread::Builder::new()
            .name(self.thread_name.clone())
            .stack_size(self.stack);
        let handle = with_signals_blocked(|| thread.spawn(move || names.look_up()))?;
        book.handles.push(handle);
        book.threads += 1;
        Ok(())
    }

    /// The life of a thread.
    fn look_up(&self) {
        self.hygiene.apply();
        let mut book = lock(&self.book);
        while let Some(name) = book.next() {
            drop(book);
            let answer = addresses(&name);
            book = lock(&self.book);
            let asking = book.end(&name);
            drop(book);
            reply(asking, &answer);
            book = lock(&self.book);
        }
        book.threads -= 1;
        drop(book);
        self.ended.notify_all();
    }

    /// Nothing is begun any more; what waits ends.
    pub fn close(&self) {
        let mut book = lock(&self.book);
        book.closed = true;
        book.lookups.retain(|lookup| lookup.running);
    }

    /// After close(): waits for the threads. The names that are still looked up when `until` comes.
    pub fn wait(&self, until: Instant) -> Vec<String> {
        let mut book = lock(&self.book);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if book.threads == 0 || left.is_zero() {
                break;
            }
            let waited = self.ended.wait_timeout(book, left);
            book = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let all = book.threads == 0;
        let handles = std::mem::take(&mut book.handles);
        let running = book.lookups.iter().map(|lookup| lookup.name.clone());
        let running = running.collect();
        drop(book);
        for handle in handles {
            if all || handle.is_finished() {
                let _ = handle.join(); // it is past its last line
            }
        }
        running
    }
}

fn addresses(name: &str) -> Answer {
    match (name, 0).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.collect()),
        Err(e) => Err(Failed {
            code: None,
            text: e.to_string(),
        }),
    }
}

fn reply(asking: Vec<oneshot::Sender<Answer>>, answer: &Answer) {
    for asks in asking {
        let _ = asks.send(answer.clone());
    }
}

/// [`Names`] as reqwest asks for them.
pub struct Resolver(pub Arc<Names>);

impl Resolve for Resolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let answer = self.0.ask(name.as_str());
        Box::pin(async move {
            match answer.await {
                Ok(Ok(addresses)) => Ok(Box::new(addresses.into_iter()) as Addrs),
                Ok(Err(failed)) => Err(failed.into()),
                Err(_) => Err(Failed::shut_down().into()),
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names() -> Arc<Names> {
        Names::new(Hygiene::new(&[]).unwrap(), "names", 0)
    }

    #[test]
    fn a_name_is_looked_up() {
        let names = names();
        let found = names.ask("localhost").blocking_recv().unwrap().unwrap();
        assert!(found.iter().all(|address| address.ip().is_loopback()));
        assert!(!found.is_empty());
        let failed = names.ask("no name").blocking_recv().unwrap().unwrap_err();
        assert_eq!(failed.code, None);
        assert!(!failed.to_string().is_empty());
    }

    #[test]
    fn a_thread_takes_what_waits_and_what_is_wanted() {
        let mut book = Book::default();
        let mut answers = Vec::new();
        for name in ["a", "b", "c"] {
            let (asks, answer) = oneshot::channel();
            answers.push(answer);
            book.lookups.push(Lookup {
                name: name.to_owned(),
                asking: vec![asks],
                running: false,
            });
        }
        assert_eq!(book.next().as_deref(), Some("a"));
        answers.remove(1);
        assert_eq!(book.next().as_deref(), Some("c"));
        assert_eq!(book.next(), None);
        assert_eq!(book.end("a").len(), 1);
        assert_eq!(book.lookups.len(), 1);
    }

    #[test]
    fn closing_ends_it() {
        let names = names();
        names.close();
        assert!(names.ask("localhost").blocking_recv().is_err());
        assert!(names.wait(Instant::now()).is_empty());
    }
}
