// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an operation is, for the listing of a bridge: one word in its block, written by the submitter and
//! read by any thread. It is a pointer, to a constant or, with its lowest bit set, to a task type of C.

use std::any::type_name;
use std::borrow::Cow;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::sys::TaskType;

/// The kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Future,
    Task,
    Job,
    #[cfg(feature = "http")]
    Request,
    /// The head of a request's response, or a shutdown: nothing runs for it.
    Part,
}

struct Known {
    kind: Kind,
    name: fn() -> &'static str,
}

#[derive(Clone, Copy)]
pub(crate) struct Label(*mut Known);

// SAFETY: what it points to never changes.
unsafe impl Send for Label {}

const fn known(of: &'static Known) -> Label {
    Label(ptr::from_ref(of).cast_mut())
}

impl Label {
    pub const JOB: Label = known(&Known {
        kind: Kind::Job,
        name: || "",
    });
    #[cfg(feature = "http")]
    pub const REQUEST: Label = known(&Known {
        kind: Kind::Request,
        name: || "",
    });
    #[cfg(feature = "ws")]
    pub const WEBSOCKET: Label = known(&Known {
        kind: Kind::Request,
        name: || "WebSocket",
    });
    pub const PART: Label = known(&Known {
        kind: Kind::Part,
        name: || "",
    });

    pub fn kind(self) -> Kind {
        if self.0.addr() & 1 != 0 {
            return Kind::Task;
        }
        // SAFETY: a constant.
        unsafe { (*self.0).kind }
    }

    /// Empty, if it has none of its own.
    pub fn name(self) -> Cow<'static, str> {
        if self.0.addr() & 1 == 0 {
            // SAFETY: a constant.
            return Cow::Borrowed(unsafe { ((*self.0).name)() });
        }
        let ty = self.0.map_addr(|at| at & !1).cast::<TaskType>();
        // SAFETY: the type is alive, by task().
        Cow::Owned(unsafe { (*ty).shown_name().into_owned() })
    }

    /// A future, by the name of its type.
    pub fn future<F: 'static>() -> Label {
        const {
            known(&Known {
                kind: Kind::Future,
                name: type_name::<F>,
            })
        }
    }

    /// A C task. The type has to stay alive as long as a bridge is listed or traced.
    pub fn task(ty: &TaskType) -> Label {
        Label(ptr::from_ref(ty).map_addr(|at| at | 1).cast_mut().cast())
    }
}

pub(super) struct Cell(AtomicPtr<Known>);

impl Cell {
    pub fn new() -> Cell {
        Cell(AtomicPtr::new(Label::PART.0))
    }

    pub fn set(&self, label: Label) {
        self.0.store(label.0, Ordering::Relaxed); // what it points to never changes
    }

    pub fn get(&self) -> Label {
        Label(self.0.load(Ordering::Relaxed)) // as in set()
    }

    pub fn kind(&self) -> Kind {
        self.get().kind()
    }

    pub fn name(&self) -> Cow<'static, str> {
        self.get().name()
    }
}
