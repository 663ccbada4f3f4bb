// SPDX-License-Identifier: MIT OR Apache-2.0
//! The error of functions for Rust code: a code of C, and a text.

use std::borrow::Cow;
use std::ffi::CStr;
use std::{fmt, io};

use crate::outcome::Outcome;
use crate::sys::{errno, nart_err_name, nart_strerror, Res, ECLOSED};

/// The error of a function of this crate.
///
/// # Examples
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
    pub fn code(&self) -> Res {
        self.code
    }

    /// The other side has closed, or this end has (`NART_ECLOSED`).
    pub fn is_closed(&self) -> bool {
        self.code == ECLOSED
    }

    /// It would wait (`-EAGAIN`).
    pub fn is_would_block(&self) -> bool {
        self.code == errno(libc::EAGAIN)
    }

    /// The time is up (`-ETIMEDOUT`).
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
        match error.code {
            -4095..=-1 => io::Error::from_raw_os_error(-error.code as i32),
            ECLOSED => io::Error::new(io::ErrorKind::BrokenPipe, error),
            _ => io::Error::other(error),
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
    use crate::sys::ESHUTDOWN;

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
    fn an_error_has_the_text_of_its_code_or_one_of_its_own() {
        let coded = Error::of(errno(libc::ENOENT));
        assert_eq!(coded.to_string(), "No such file or directory");
        assert_eq!(format!("{coded:?}"), "ENOENT: No such file or directory");
        let own = Error::with(ESHUTDOWN, "closed");
        assert_eq!((own.code(), own.to_string()), (ESHUTDOWN, "closed".into()));
        assert_eq!(format!("{own:?}"), "NART_ESHUTDOWN: closed");
    }
}
