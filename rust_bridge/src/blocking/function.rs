// SPDX-License-Identifier: MIT OR Apache-2.0
//! Functions of C for the blocking pool: the function with its argument, its stop flag and its name.

use std::ffi::{c_char, c_void, CStr};

use crate::outcome::Outcome;
use crate::panic::catch_of;
use crate::signals;
use crate::sys::work::{nart_work_cancelled, Job};
use crate::sys::Res;
use crate::threads::without_waiting;

/// The stop flag of a blocking function; see nart_tokio_stopped(). Valid while the function runs.
// As NartTokio: FFI-safe, and opaque in the header.
#[cfg_attr(all(), repr(C))]
#[derive(Debug)]
pub struct Stop(Job);

impl Stop {
    pub(crate) fn is_set(&self) -> bool {
        // SAFETY: it is the job that runs.
        unsafe { nart_work_cancelled(&self.0) }
    }
}

/// A function for the blocking pool. Its return value is the operation's result. It and its drop_arg
/// must return: they must not be left by longjmp(). A C++ exception or pthread_exit() ends the process,
/// after a line that names the function.
pub type BlockingFn =
    Option<unsafe extern "C-unwind" fn(arg: *mut c_void, stop: *const Stop) -> Res>;

/// Frees the argument of a blocking function.
pub type DropFn = Option<unsafe extern "C-unwind" fn(arg: *mut c_void)>;

/// A name in a report: the first 31 bytes, and a NUL.
pub type Name = [c_char; 32];

/// The first 31 bytes of a name.
pub fn short_name(name: &[u8]) -> Name {
    let mut short: Name = [0; 32];
    for (to, from) in short.iter_mut().zip(&name[..name.len().min(31)]) {
        *to = *from as c_char;
    }
    short
}

/// A function of C with its argument.
#[derive(Clone, Copy)]
pub struct Work {
    run: unsafe extern "C-unwind" fn(arg: *mut c_void, stop: *const Stop) -> Res,
    arg: *mut c_void,
    drop_arg: DropFn,
    name: Name,
}

// SAFETY: C promises that the pool's threads may use the argument.
unsafe impl Send for Work {}

impl Work {
    /// None if `run` is NULL.
    ///
    /// # Safety
    /// `name` is NULL or a C string. The functions may be called with `arg` on other threads.
    pub unsafe fn new(
        name: *const c_char,
        run: BlockingFn,
        arg: *mut c_void,
        drop_arg: DropFn,
    ) -> Option<Work> {
        let bytes = if name.is_null() {
            b""
        } else {
            // SAFETY: the caller's promise.
            unsafe { CStr::from_ptr(name) }.to_bytes()
        };
        Some(Work {
            run: run?,
            arg,
            drop_arg,
            name: short_name(bytes),
        })
    }

    pub fn name(&self) -> &Name {
        &self.name
    }

    fn described(&self) -> String {
        // SAFETY: short_name() has written a NUL.
        let name = unsafe { CStr::from_ptr(self.name.as_ptr()) };
        format!("the blocking function \"{}\"", name.to_string_lossy())
    }

    /// Calls the function.
    pub fn run(&self, stop: *const Stop) -> Outcome {
        // SAFETY: the caller of new() promised that they fit.
        let call = || unsafe { (self.run)(self.arg, stop) };
        let called = catch_of(|| self.described(), call);
        signals::close(); // in case the function has not
        match called {
            Ok(res) => Outcome::of_res(res),
            Err(text) => Outcome::panicked(text),
        }
    }

    /// Calls `drop_arg`. Not a Drop: the argument of a refused job remains the caller's.
    pub fn release(self) {
        if let Some(drop_arg) = self.drop_arg {
            let name = || format!("the drop_arg of {}", self.described());
            // SAFETY: as in run(). Called once per accepted job: it consumes the job.
            let call = || unsafe { drop_arg(self.arg) };
            let _ = catch_of(name, || without_waiting(call));
        }
    }
}
