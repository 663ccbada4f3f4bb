// SPDX-License-Identifier: MIT OR Apache-2.0
//! The error of futures for C: any error of Rust, as a code and a text.

use std::error::Error as StdError;
use std::{fmt, io};

use crate::error::Error;
use crate::outcome::Outcome;
use crate::sys::{errno, Res};

/// An error for C, which `?` makes of any error: a code, and a text.
///
/// The code is that of the first error, from the outermost to its last source, that has one: an
/// [`Error`] of this crate, an [`io::Error`] with an errno or a kind that has one, or a timeout of tokio.
/// Otherwise it is `-EIO`. The text is that of the error and of its sources.
///
/// So it is no [`std::error::Error`] itself.
///
/// # Examples
///
/// ```
/// use nart_tokio::Failure;
///
/// fn length(path: &str) -> Result<i64, Failure> {
///     let length = std::fs::metadata(path)?.len();
///     i64::try_from(length).map_err(|_| Failure::new(-libc::EFBIG as i64, "larger than a disk"))
/// }
///
/// let failure = length("/nonexistent").unwrap_err();
/// assert_eq!(failure.code(), -libc::ENOENT as i64);
/// assert!(failure.to_string().starts_with("No such file"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    code: Res,
    text: String,
}

impl Failure {
    /// A negated errno or an error code of nart, and a text. Another code becomes `-EINVAL`, as
    /// [`Outcome::error`] does it.
    ///
    /// # Examples
    ///
    /// See [`Failure`].
    #[must_use]
    pub fn new(code: Res, text: impl Into<String>) -> Failure {
        Failure {
            code,
            text: text.into(),
        }
    }

    /// The code.
    ///
    /// # Examples
    ///
    /// See [`Failure`].
    #[must_use]
    pub fn code(&self) -> Res {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The code of an error, if it has one.
fn code_of(error: &(dyn StdError + 'static)) -> Option<Res> {
    if let Some(error) = error.downcast_ref::<Error>() {
        return Some(error.code());
    }
    if error.is::<tokio::time::error::Elapsed>() {
        return Some(errno(libc::ETIMEDOUT));
    }
    let error = error.downcast_ref::<io::Error>()?;
    if let Some(code) = error.get_ref().and_then(|inner| code_of(inner)) {
        return Some(code);
    }
    let code = error.raw_os_error().or(match error.kind() {
        io::ErrorKind::NotFound => Some(libc::ENOENT),
        io::ErrorKind::PermissionDenied => Some(libc::EACCES),
        io::ErrorKind::AlreadyExists => Some(libc::EEXIST),
        io::ErrorKind::InvalidInput => Some(libc::EINVAL),
        io::ErrorKind::TimedOut => Some(libc::ETIMEDOUT),
        io::ErrorKind::ConnectionRefused => Some(libc::ECONNREFUSED),
        io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => Some(libc::ECONNRESET),
        io::ErrorKind::BrokenPipe => Some(libc::EPIPE),
        _ => None,
    });
    code.map(errno)
}

impl<E: StdError + 'static> From<E> for Failure {
    fn from(error: E) -> Failure {
        let mut text = error.to_string();
        let mut code = code_of(&error);
        let mut source = error.source();
        while let Some(error) = source {
            let more = error.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            code = code.or_else(|| code_of(error));
            source = error.source();
        }
        Failure::new(code.unwrap_or(errno(libc::EIO)), text)
    }
}

impl From<Failure> for Outcome {
    fn from(failure: Failure) -> Outcome {
        Outcome::error(failure.code, failure.text)
    }
}

impl<T: Into<Outcome>> From<Result<T, Failure>> for Outcome {
    fn from(result: Result<T, Failure>) -> Outcome {
        result.map_or_else(Outcome::from, T::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::{ECLOSED, ESHUTDOWN};

    #[derive(Debug)]
    struct Outer(io::Error);

    impl fmt::Display for Outer {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("outer")
        }
    }

    impl StdError for Outer {
        fn source(&self) -> Option<&(dyn StdError + 'static)> {
            Some(&self.0)
        }
    }

    #[test]
    fn the_code_is_that_of_the_first_error_that_has_one() {
        let code = |error: io::Error| Failure::from(error).code();
        assert_eq!(code(Error::of(ECLOSED).into()), ECLOSED);
        assert_eq!(code(io::Error::other("text")), errno(libc::EIO));
        assert_eq!(code(io::ErrorKind::TimedOut.into()), errno(libc::ETIMEDOUT));
        let failure = Failure::from(Outer(io::Error::from_raw_os_error(libc::ENOSPC)));
        assert_eq!(failure.code(), errno(libc::ENOSPC));
        assert!(failure.to_string().starts_with("outer: No space left"));
    }

    #[test]
    fn a_refusal_keeps_its_code() {
        let bridge = crate::Bridge::new(&crate::Options::default()).unwrap();
        bridge.shutdown(std::time::Duration::from_secs(60)).unwrap();
        let refused = bridge.spawn(async { 1 }).unwrap_err();
        assert_eq!(Failure::from(refused).code(), ESHUTDOWN);
    }
}
