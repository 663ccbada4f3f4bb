// SPDX-License-Identifier: MIT OR Apache-2.0
//! The result of an operation, and its conversion to and from C.

use std::sync::Arc;

#[cfg(feature = "http")]
pub(crate) use crate::http::Head;
use crate::sys::{errno, Res, EABORTED, EPANIC, ERROR_MIN, ESHUTDOWN, PENDING};

/// What only HTTP has.
#[cfg(not(feature = "http"))]
#[derive(Debug)]
pub(crate) enum Head {}

/// The status of an operation. It ends with exactly one of the last five.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Status {
    /// Not ended yet.
    Running = 0,
    /// Ended with a value.
    Ok = 1,
    /// Ended with an error.
    Error = 2,
    /// Cancelled before it ended by itself.
    Cancelled = 3,
    /// Its Rust code panicked.
    Panicked = 4,
    /// The bridge was shut down before it ended.
    Shutdown = 5,
}

/// The result of an operation: a value or an error, and bytes (a response body, an error text).
///
/// Futures given to [`Bridge::spawn`](crate::Bridge::spawn) return one, or something that converts
/// to it: `i64`, `()`, bytes or a [`String`] (the value is their length), or a result of these whose error
/// is an [`io::Error`](std::io::Error), an [`Error`](crate::Error) or a [`Failure`](crate::Failure).
///
/// # Examples
///
/// ```
/// use nart_tokio::Outcome;
///
/// fn parse(text: &str) -> Outcome {
///     match text.parse() {
///         Ok(number) => Outcome::value(number),
///         Err(_) => Outcome::error(-22, format!("{text} is not a number: use digits")),
///     }
/// }
/// # parse("1");
/// ```
#[derive(Debug)]
pub struct Outcome {
    pub(crate) status: Status,
    /// The value, or the error.
    pub(crate) number: i64,
    /// Terminated by a NUL. None: empty.
    pub(crate) bytes: Option<Box<[u8]>>,
    /// The head of the HTTP response that it is about, if any.
    #[cfg_attr(not(feature = "http"), allow(dead_code))]
    pub(crate) head: Option<Arc<Head>>,
}

/// The result of an operation for which a shutdown has answered.
pub(crate) static SHUT_DOWN: Outcome = Outcome::shut_down();

impl Outcome {
    pub(crate) const fn shut_down() -> Outcome {
        Outcome {
            status: Status::Shutdown,
            number: 0,
            bytes: None,
            head: None,
        }
    }

    /// A value, which may be any number.
    #[must_use]
    pub fn value(value: i64) -> Outcome {
        Outcome {
            status: Status::Ok,
            number: value,
            bytes: None,
            head: None,
        }
    }

    /// A value with bytes, which C reads with `nart_tokio_op_message()`.
    #[must_use]
    pub fn value_with(value: i64, mut bytes: Vec<u8>) -> Outcome {
        if !bytes.is_empty() {
            bytes.push(0);
        }
        Outcome {
            bytes: (!bytes.is_empty()).then(|| bytes.into_boxed_slice()),
            ..Outcome::value(value)
        }
    }

    /// An error, with a text: a negated errno or an error code of nart. Other numbers become
    /// `-EINVAL`. `-ECANCELED` becomes "cancelled", because C tasks return that code for
    /// themselves.
    pub fn error(code: Res, text: impl Into<Vec<u8>>) -> Outcome {
        let status = if code == errno(libc::ECANCELED) {
            Status::Cancelled
        } else {
            Status::Error
        };
        let is_error = (ERROR_MIN..0).contains(&code);
        let number = if is_error { code } else { errno(libc::EINVAL) };
        Outcome {
            status,
            number,
            ..Outcome::value_with(0, text.into())
        }
    }

    /// From the `nart_res` that a C function returned.
    pub(crate) fn of_res(res: Res) -> Outcome {
        if res >= 0 {
            Outcome::value(res)
        } else if (ERROR_MIN..0).contains(&res) {
            Outcome::error(res, "")
        } else {
            Outcome::error(res, "the function returned a number that is not a nart_res")
        }
    }

    pub(crate) fn panicked(text: String) -> Outcome {
        Outcome {
            status: Status::Panicked,
            ..Outcome::value_with(0, text.into())
        }
    }

    /// The same result, for another operation.
    #[cfg(feature = "http")]
    pub(crate) fn copy(&self) -> Outcome {
        Outcome {
            status: self.status,
            number: self.number,
            bytes: self.bytes.clone(),
            head: self.head.clone(),
        }
    }

    pub(crate) fn is_panic(&self) -> bool {
        self.status == Status::Panicked
    }

    /// The bytes with their NUL, and their number without it.
    pub(crate) fn message(&self) -> (&[u8], usize) {
        match &self.bytes {
            None => (b"\0", 0),
            Some(bytes) => (bytes, bytes.len() - 1),
        }
    }

    /// Stores the value, if there is one. Returns what awaiting the operation returns.
    pub(crate) fn read(&self, value: &mut i64) -> Res {
        if self.status == Status::Ok {
            *value = self.number;
        }
        self.answer()
    }

    /// What awaiting the operation returns.
    fn answer(&self) -> Res {
        match self.status {
            Status::Running => PENDING,
            Status::Ok => 0,
            Status::Error => self.number,
            Status::Cancelled => EABORTED,
            Status::Panicked => EPANIC,
            Status::Shutdown => ESHUTDOWN,
        }
    }
}

impl From<i64> for Outcome {
    fn from(value: i64) -> Outcome {
        Outcome::value(value)
    }
}

impl From<()> for Outcome {
    fn from((): ()) -> Outcome {
        Outcome::value(0)
    }
}

impl From<Vec<u8>> for Outcome {
    fn from(bytes: Vec<u8>) -> Outcome {
        Outcome::value_with(bytes.len() as i64, bytes)
    }
}

impl From<String> for Outcome {
    fn from(text: String) -> Outcome {
        text.into_bytes().into()
    }
}

impl<T: Into<Outcome>> From<std::io::Result<T>> for Outcome {
    fn from(result: std::io::Result<T>) -> Outcome {
        match result {
            Ok(value) => value.into(),
            Err(e) => Outcome::error(errno(e.raw_os_error().unwrap_or(libc::EIO)), e.to_string()),
        }
    }
}
