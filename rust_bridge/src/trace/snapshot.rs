// SPDX-License-Identifier: MIT OR Apache-2.0
//! The events of a tracer, while the runtime's trace writes them.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ffi::CStr;

use super::{Event, Title, What};
use crate::op::Kind;
use crate::sys::trace::{Item, ANSWER, ARROW_BEGINS, ARROW_ENDS, SLICE, SUBMIT, THREAD};

pub struct Snapshot {
    /// Slices, and marks that lie in one; in order of time.
    events: Vec<Event>,
    /// Threads to be named, with their names.
    threads: Vec<(i32, String)>,
    /// Arrows whose begin is written.
    begins: HashSet<(u32, u64)>,
    next: usize,
    /// What the last item refers to.
    title: Cow<'static, str>,
}

impl Snapshot {
    pub fn new(mut events: Vec<Event>) -> Snapshot {
        // A slice before its marks, an outer slice before an inner one.
        events.sort_by_key(|e| (e.at, e.what != What::Slice, -e.took));
        let mut threads = HashMap::new();
        // The end of the last slice of each thread: a thread's slices nest or follow each other.
        let mut until = HashMap::new();
        events.retain(|event| {
            let end = until.entry(event.thread).or_insert(i64::MIN);
            if event.what == What::Slice {
                *end = (*end).max(event.at + event.took);
                threads.entry(event.thread).or_insert(match kind(event) {
                    Kind::Job => "blocking",
                    _ => "worker",
                });
            }
            event.at <= *end
        });
        let begin = |e: &Event| match e.what {
            What::Submitted => Some((SUBMIT, e.flow)),
            What::Answered => Some((ANSWER, e.flow)),
            _ => None,
        };
        let mut threads: Vec<_> = threads
            .into_iter()
            .map(|(thread, role)| (thread, format!("{role} {thread}")))
            .collect();
        threads.sort_by(|a, b| b.cmp(a)); // next() takes them from the end
        Snapshot {
            begins: events.iter().filter_map(begin).collect(),
            events,
            threads,
            next: 0,
            title: Cow::Borrowed(""),
        }
    }

    pub fn begins(&self, arrow: u32, flow: u64) -> bool {
        self.begins.contains(&(arrow, flow))
    }

    pub fn add_begin(&mut self, arrow: u32, flow: u64) {
        self.begins.insert((arrow, flow));
    }

    /// The next item. False: there is none.
    pub fn next(&mut self, out: &mut Item) -> bool {
        if let Some((thread, name)) = self.threads.pop() {
            self.title = Cow::Owned(name);
            *out = Item::of(THREAD, thread, &self.title);
            return true;
        }
        while let Some(&event) = self.events.get(self.next) {
            self.next += 1;
            self.title = match event.what {
                What::Slice => title(&event.title),
                _ => Cow::Borrowed(""),
            };
            let (what, arrow) = match event.what {
                What::Slice => (SLICE, SUBMIT),
                What::Submitted => (ARROW_BEGINS, SUBMIT),
                What::Started => (ARROW_ENDS, SUBMIT),
                What::Answered => (ARROW_BEGINS, ANSWER),
                What::Read => (ARROW_ENDS, ANSWER),
            };
            if what == ARROW_ENDS && !self.begins(arrow, event.flow) {
                continue;
            }
            *out = Item {
                arrow,
                flow: event.flow,
                at: event.at,
                took: event.took,
                ..Item::of(what, event.thread, &self.title)
            };
            return true;
        }
        false
    }
}

fn kind(event: &Event) -> Kind {
    match event.title {
        Title::Job(_) => Kind::Job,
        Title::Label(label) => label.kind(),
    }
}

fn title(title: &Title) -> Cow<'static, str> {
    let name = match title {
        Title::Label(label) => label.name(),
        Title::Job(name) => {
            // SAFETY: short names end with a NUL.
            let name = unsafe { CStr::from_ptr(name.as_ptr()) };
            Cow::Owned(name.to_string_lossy().into_owned())
        }
    };
    match (title, name.is_empty()) {
        (Title::Job(_), true) => Cow::Borrowed("blocking function"),
        (Title::Label(label), true) if label.kind() == Kind::Job => Cow::Borrowed("abandoned"),
        (_, true) => Cow::Borrowed("HTTP request"),
        _ => name,
    }
}
