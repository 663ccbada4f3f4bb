// SPDX-License-Identifier: MIT OR Apache-2.0
//! Panics are caught here. Every function that C calls runs inside [`guard`], and every foreign
//! future and destructor inside [`catch`]. So no panic crosses the boundary; it becomes an error.
//!
//! Not handled: a panic while panicking, `panic = "abort"`, a stack overflow, a C++ exception. They end
//! the process; [`catch_of`] says first whose exception it was.

use std::any::Any;
use std::panic::{catch_unwind, AssertUnwindSafe};

use crate::sys::{Res, EPANIC};

/// The value that a function of the C interface returns when its body panics.
pub trait OnPanic {
    const ON_PANIC: Self;
}

impl OnPanic for () {
    const ON_PANIC: () = ();
}

impl OnPanic for Res {
    const ON_PANIC: Res = EPANIC;
}

impl OnPanic for bool {
    const ON_PANIC: bool = false;
}

impl<T> OnPanic for *const T {
    const ON_PANIC: *const T = std::ptr::null();
}

/// Runs the body of a function that C calls.
pub fn guard<R: OnPanic>(f: impl FnOnce() -> R) -> R {
    catch(f).unwrap_or(R::ON_PANIC)
}

/// Runs `f`. The error is the text of its panic.
///
/// Unwind safety is asserted: the caller drops what a panic left inconsistent, and does not use it.
pub fn catch<R>(f: impl FnOnce() -> R) -> Result<R, String> {
    catch_unwind(AssertUnwindSafe(f)).map_err(text)
}

/// catch() for a function of C, which has a name: if a C++ exception leaves it, prints that name.
pub fn catch_of<R>(name: impl Fn() -> String, f: impl FnOnce() -> R) -> Result<R, String> {
    struct Left<N: Fn() -> String>(N);
    impl<N: Fn() -> String> Drop for Left<N> {
        fn drop(&mut self) {
            if !std::thread::panicking() {
                eprintln!(
                    "nart: a C++ exception, or pthread_exit(), left {}: it must return",
                    (self.0)()
                );
            }
        }
    }
    catch(|| {
        let left = Left(name);
        let result = f();
        std::mem::forget(left);
        result
    })
}

fn text(payload: Box<dyn Any + Send>) -> String {
    let text = match payload.downcast_ref::<&str>() {
        Some(s) => (*s).to_owned(),
        None => match payload.downcast_ref::<String>() {
            Some(s) => s.clone(),
            None => "a panic whose payload is not text".to_owned(),
        },
    };
    discard(payload);
    text
}

/// Drops a payload. If its drop panics, drops that payload, and so on; leaks the ninth.
fn discard(mut payload: Box<dyn Any + Send>) {
    for _ in 0..8 {
        match catch_unwind(AssertUnwindSafe(|| drop(payload))) {
            Ok(()) => return,
            Err(next) => payload = next,
        }
    }
    std::mem::forget(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PanicsInDrop;

    impl Drop for PanicsInDrop {
        fn drop(&mut self) {
            panic!("from the payload's drop");
        }
    }

    #[test]
    fn a_panic_becomes_its_text() {
        assert_eq!(catch(|| -> () { panic!("plain") }), Err("plain".to_owned()));
        assert_eq!(
            catch(|| -> () { panic!("number {}", 7) }),
            Err("number 7".to_owned())
        );
    }

    #[test]
    fn other_payloads_are_described() {
        let caught = catch(|| -> () { std::panic::panic_any(42_u8) });
        assert_eq!(caught, Err("a panic whose payload is not text".to_owned()));
    }

    struct NeverEnds;

    impl Drop for NeverEnds {
        fn drop(&mut self) {
            std::panic::panic_any(NeverEnds);
        }
    }

    #[test]
    fn payloads_that_panic_in_drop() {
        assert!(catch(|| -> () { std::panic::panic_any(PanicsInDrop) }).is_err());
        assert!(catch(|| -> () { std::panic::panic_any(NeverEnds) }).is_err());
    }

    #[test]
    fn guard_returns_a_value_after_a_panic() {
        assert_eq!(guard(|| -> Res { panic!("x") }), EPANIC);
        assert_eq!(guard(|| -> Res { 3 }), 3);
    }
}
