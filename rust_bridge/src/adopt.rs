// SPDX-License-Identifier: MIT OR Apache-2.0
//! A bridge on a tokio runtime of the program.
//!
//! tokio has no function that tells whether a runtime has timers and I/O: its timers and sockets panic
//! if not. So one of each is made in the runtime's context, and a panic is the answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::runtime::Handle as TokioHandle;

use crate::bridge::Bridge;
use crate::error::Error;
use crate::options::Options;
use crate::panic::catch;
use crate::sys::{errno, ESHUTDOWN};
use crate::threads::Hygiene;

/// The error of a runtime without timers or I/O.
pub(crate) fn lacks(what: &str, call: &str) -> Error {
    let text = format!(
        "the runtime has no {what}: call {call}() or enable_all() on its tokio::runtime::Builder"
    );
    Error::with(errno(libc::EOPNOTSUPP), text)
}

/// The error if the runtime cannot be adopted.
fn check(handle: &TokioHandle) -> Result<(), Error> {
    let timer = || {
        let _entered = handle.enter();
        drop(tokio::time::sleep(Duration::ZERO));
    };
    let socket = || {
        let _entered = handle.enter();
        UnixDatagram::unbound().map(drop)
    };
    catch(timer).map_err(|_| lacks("timers", "enable_time"))?;
    let opened: io::Result<()> = catch(socket).map_err(|_| lacks("I/O", "enable_io"))?;
    opened.map_err(|e| match e.raw_os_error() {
        Some(code) => Error::of(errno(code)),
        None => Error::with(ESHUTDOWN, "the runtime has been shut down"),
    })
}

impl Bridge {
    /// Makes a bridge that uses a runtime of the program, for example that of `#[tokio::main]`.
    ///
    /// The runtime must have time and I/O enabled. Its threads are not changed: `workers` and
    /// `max_spawn_blocking` are ignored, and `cpus`, `name` and `stack` apply to the bridge's own
    /// threads only: those of blocking functions of C, and of name look-ups. A shutdown of the bridge,
    /// and the drop of its last clone, end the bridge's futures and not the runtime.
    ///
    /// Somebody must drive the runtime. Under a runtime of the current-thread flavour futures are
    /// polled and dropped only while one of its threads is in `block_on`. If none is, operations wait
    /// until it is, or until the deadline of a shutdown, which ends them; their futures are dropped
    /// with the runtime.
    ///
    /// # Errors
    /// `-EINVAL` an option is out of range; `-EOPNOTSUPP` the runtime has no timers or no I/O: the
    /// text says what to call (tokio reports that by a panic only, so the program's panic hook runs
    /// before this returns); `NART_ESHUTDOWN` the runtime has been shut down; `-EMFILE`; `-ENOMEM`.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    /// use nart_tokio::{Bridge, Error, Options};
    /// use tokio::runtime::Handle;
    ///
    /// # tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
    /// let bridge = Bridge::adopt(Handle::current(), &Options::default())?;
    /// let operation = bridge.spawn(async { 42 }).map_err(|refused| refused.code);
    /// drop(operation);
    /// bridge.shutdown_async(Duration::from_secs(10)).await
    /// # }).unwrap();
    /// # Ok::<(), Error>(())
    /// ```
    pub fn adopt(handle: TokioHandle, options: &Options) -> Result<Bridge, Error> {
        options.check().map_err(Error::of)?;
        check(&handle)?;
        let hygiene = Hygiene::new(&options.cpus).map_err(Error::of)?;
        Bridge::with(handle, None, Arc::default(), hygiene, options).map_err(Error::of)
    }
}
