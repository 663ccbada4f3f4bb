// SPDX-License-Identifier: MIT OR Apache-2.0
//! The error of functions for Rust code: a code of C, and a text.

use std::borrow::Cow;
use std::ffi::CStr;
use std::{fmt, io};

use crate::outcome::Outcome;
use crate::sys::{errno, nart_err_name, nart_strerror, Res, EABORTED, ECLOSED, EPANIC, ESHUTDOWN};

/// The error of a function of this crate: a code of C, and a text.
///
/// It is `Send`, `Sync` and cheap to compare. `?` converts it to and from an [`io::Error`], and from a
/// [`Refused`](crate::Refused). It has no source: what caused it is part of the text.
///
/// # Examples
///
/// ```
/// use std::io;
/// use nart_tokio::Error;
///
/// fn open() -> Result<std::fs::File, Error> {
///     Ok(std::fs::File::open("/nowhere")?)
/// }
///
/// let error = open().unwrap_err();
/// assert_eq!(error.raw_os_error(), Some(2)); // ENOENT
/// assert!(!error.is_cancelled() && !error.is_panic() && !error.is_shutdown());
/// assert!(!error.is_closed() && !error.is_timeout() && !error.is_would_block());
/// assert_eq!(io::Error::from(error).kind(), io::ErrorKind::NotFound);
/// ```
///
/// ```
/// use nart_tokio::{Bridge, Options};
///
/// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
/// let error = Bridge::adopt(runtime.handle().clone(), &Options::default()).unwrap_err();
/// assert!(error.code() < 0);
/// assert!(error.to_string().contains("enable_all()"));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    code: Res,
    /// Empty: the text is that of the code.
    text: Cow<'static, str>,
}

impl Error {
    pub(crate) const fn of(code: Res) -> Error {
        Error {
            code,
            text: Cow::Borrowed(""),
        }
    }

    pub(crate) fn with(code: Res, text: impl Into<Cow<'static, str>>) -> Error {
        Error {
            code,
            text: text.into(),
        }
    }

    pub(crate) const fn errno(code: i32) -> Error {
        Error::of(-(code as Res))
    }

    /// 0 or an error.
    pub(crate) fn check(res: Res) -> Result<(), Error> {
        match res {
            0.. => Ok(()),
            code => Err(Error::of(code)),
        }
    }

    /// The code that C has for it: a negated errno, or one of `NART_E*`.
    ///
    /// # Examples
    ///
    /// ```
    /// use nart_tokio::{Bridge, Options};
    ///
    /// let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    /// let error = Bridge::adopt(runtime.handle().clone(), &Options::default()).unwrap_err();
    /// assert_eq!(error.code(), -i64::from(libc::EOPNOTSUPP));
    /// ```
    #[must_use]
    pub fn code(&self) -> Res {
        self.code
    }

    /// The errno, if it is an error of the system.
    #[must_use]
    pub fn raw_os_error(&self) -> Option<i32> {
        match self.code {
            -4095..=-1 => Some(-self.code as i32),
            _ => None,
        }
    }

    /// The awaited task or operation was cancelled, aborted or dropped (`NART_EABORTED`).
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.code == EABORTED
    }

    /// Rust code panicked (`NART_EPANIC`): the text is the panic's.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        self.code == EPANIC
    }

    /// The bridge or the loop is shutting down, or has (`NART_ESHUTDOWN`).
    #[must_use]
    pub fn is_shutdown(&self) -> bool {
        self.code == ESHUTDOWN
    }

    /// The other side has closed, or this end has (`NART_ECLOSED`).
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.code == ECLOSED
    }

    /// It would wait (`-EAGAIN`).
    #[must_use]
    pub fn is_would_block(&self) -> bool {
        self.code == errno(libc::EAGAIN)
    }

    /// The time is up (`-ETIMEDOUT`).
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.code == errno(libc::ETIMEDOUT)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.text.is_empty() {
            return f.write_str(&self.text);
        }
        // SAFETY: it returns a C string that is valid until this thread's next call.
        let text = unsafe { CStr::from_ptr(nart_strerror(self.code)) };
        f.write_str(&text.to_string_lossy())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // SAFETY: it returns a static C string.
        let name = unsafe { CStr::from_ptr(nart_err_name(self.code)) };
        write!(f, "{}: {self}", name.to_string_lossy())
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    /// Errors of the system keep their number. A closed channel is a broken pipe.
    fn from(error: Error) -> io::Error {
        match (error.raw_os_error(), error.code) {
            (Some(code), _) => io::Error::from_raw_os_error(code),
            (None, ECLOSED) => io::Error::new(io::ErrorKind::BrokenPipe, error),
            _ => io::Error::other(error),
        }
    }
}

impl From<io::Error> for Error {
    /// The reverse. What has no number is `-EIO`, with its text.
    fn from(error: io::Error) -> Error {
        if let Some(code) = error.raw_os_error() {
            return Error::errno(code);
        }
        match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => Error::with(errno(libc::EIO), error.to_string()),
        }
    }
}

impl From<Error> for Outcome {
    fn from(error: Error) -> Outcome {
        Outcome::error(error.code, error.to_string())
    }
}

impl<T: Into<Outcome>> From<Result<T, Error>> for Outcome {
    fn from(result: Result<T, Error>) -> Outcome {
        result.map_or_else(Outcome::from, T::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_become_those_of_io() {
        let closed = Error::of(ECLOSED);
        assert!(closed.is_closed() && !closed.is_timeout());
        assert_eq!(io::Error::from(closed).kind(), io::ErrorKind::BrokenPipe);
        let busy = io::Error::from(Error::errno(libc::EBUSY));
        assert_eq!(busy.raw_os_error(), Some(libc::EBUSY));
        assert!(Error::errno(libc::EAGAIN).is_would_block());
    }

    #[test]
    fn errors_of_io_are_those_that_they_were() {
        for error in [
            Error::of(ECLOSED),
            Error::errno(libc::EBUSY),
            Error::with(ESHUTDOWN, "now"),
        ] {
            assert_eq!(Error::from(io::Error::from(error.clone())), error);
        }
        let other = Error::from(io::Error::other("no number"));
        assert_eq!(
            (other.raw_os_error(), other.to_string()),
            (Some(libc::EIO), "no number".into())
        );
    }

    #[test]
    fn an_error_has_the_text_of_its_code_or_one_of_its_own() {
        let coded = Error::of(errno(libc::ENOENT));
        assert_eq!(coded.to_string(), "No such file or directory");
        assert_eq!(format!("{coded:?}"), "ENOENT: No such file or directory");
        let own = Error::with(ESHUTDOWN, "closed");
        assert_eq!((own.code(), own.to_string()), (ESHUTDOWN, "closed".into()));
        assert_eq!(format!("{own:?}"), "NART_ESHUTDOWN: closed");
    }
}
