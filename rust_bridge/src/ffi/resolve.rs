// SPDX-License-Identifier: MIT OR Apache-2.0
//! Names and times. The C interface of resolve.rs, and a timer.
//!
//! Ownership: the text is copied. Addresses are copied out of the operation.

use std::ffi::{c_char, CStr};

use tokio::time::sleep_until;

use super::{slice_mut, submit, NartTokio, NartTokioOp};
use crate::bridge::Bridge;
use crate::clock;
use crate::future;
use crate::op::Handle;
use crate::outcome::Outcome;
use crate::panic::guard;
use crate::resolve::{addresses, resolve};
use crate::sys::io::NartAddr;
use crate::sys::{errno, Res, NEVER};

/// Looks up the addresses of "host:port", such as "example.org:443". The operation ends with 0 and the
/// number of addresses, at least 1, as its value: nart_tokio_addrs() returns them. Its message lists
/// them as text, one a line. Or it ends with one of these errors, and the cause as the message:
///   NART_EDNS the name does not exist, has no address, or no name server answered;
///   -EAGAIN no thread could be started.
///
/// The host is a name, of letters, digits, '-', '_' and '.', or an address as nart_addr_parse() parses
/// it, `127.0.0.1:80` or `[::1]:80`: then the operation has ended when this returns. What ends with a
/// number is an address. The port is a number.
///
/// ```c
/// r = nart_tokio_resolve(f->tokio, "localhost:8080", &f->op);
/// if (r == 0)
///     NART_AWAIT_FOR(r, 5 * NART_SEC, nart_tokio_op_await(cx, &f->op, NULL));
/// if (r == 0) {
///     f->n = nart_tokio_addrs(&f->op, f->addr, sizeof f->addr / sizeof *f->addr);
///     NART_AWAIT(r, nart_tcp_connect(cx, &f->sock, &f->addr[0]));
/// }
/// ```
///
/// The threads are those that look up the names of HTTP requests: see nart_http_request(). There is no
/// time limit: use a deadline, and close the operation.
///
/// @return 0 and `*op`; -EINVAL no `rt` or `op`, or `host` is neither; -EAGAIN `queue_cap` look-ups of
///   this function have not ended; NART_ESHUTDOWN; -ENOMEM; NART_EFORK.
/// **Thread**: any. **Cost**: an allocation; a system call when tokio's threads sleep.
///
/// # Safety
/// `rt` is NULL or live; `host` is NULL or a C string; `op` is NULL, or writable and without an open
/// operation.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_resolve(
    rt: *mut NartTokio,
    host: *const c_char,
    op: *mut NartTokioOp,
) -> Res {
    let start = |bridge: &Bridge| {
        if host.is_null() {
            return Err(errno(libc::EINVAL));
        }
        // SAFETY: the caller's promise.
        resolve(&bridge.0, unsafe { CStr::from_ptr(host) })
    };
    // SAFETY: the caller's promises.
    unsafe { submit(rt, op, start) }
}

/// The addresses that an operation of nart_tokio_resolve() has found, in the resolver's order: the first
/// ones, at most `cap`, are copied to `addrs`. Try them in this order.
/// @return how many there are, also if that is more than `cap`; 0 the operation runs, or ended with an
///   error; -EINVAL `addrs` is NULL and `cap` is not 0; NART_EPANIC.
/// **Thread**: that of `op`. **Cost**: the text of each address is parsed.
///
/// # Safety
/// `op` is NULL or live; `addrs` is NULL or has space for `cap` addresses.
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_addrs(
    op: *const NartTokioOp,
    addrs: *mut NartAddr,
    cap: usize,
) -> Res {
    guard(|| {
        // SAFETY: the caller's promises.
        let (handle, space) = unsafe { (NartTokioOp::handle(op), slice_mut(addrs, cap)) };
        let mut space = match space {
            Ok(space) => space.iter_mut(),
            Err(code) => return code,
        };
        let outcome = handle.as_ref().and_then(Handle::outcome);
        let (message, len) = outcome.map_or((&[][..], 0), Outcome::message);
        let mut n = 0;
        for address in addresses(&message[..len]) {
            if let Some(place) = space.next() {
                place.write(address);
            }
            n += 1;
        }
        n
    })
}

/// Sleeps on tokio's clock: the operation ends with 0 when `ns` nanoseconds have passed since this call,
/// to a resolution of one millisecond, never early. NART_NEVER: it does not end by itself. For code that
/// waits in operations only, such as a plain thread. A task uses nart_sleep(), on its loop and on tokio:
/// that needs no operation and no other thread.
/// @return 0 and `*op`; -EINVAL no `rt` or `op`, or `ns` is negative; NART_ESHUTDOWN; -ENOMEM;
///   NART_EFORK.
/// **Thread**: any. **Cost**: an allocation; a system call when tokio's threads sleep.
///
/// # Safety
/// `rt` is NULL or live; `op` is NULL, or writable and without an open operation.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_tokio_sleep(
    rt: *mut NartTokio,
    ns: i64,
    op: *mut NartTokioOp,
) -> Res {
    let start = |bridge: &Bridge| match ns {
        NEVER => future::start(&bridge.0, std::future::pending::<()>()),
        0.. => {
            let at = clock::now().saturating_add(ns);
            future::start(
                &bridge.0,
                async move { sleep_until(clock::instant(at)).await },
            )
        }
        _ => Err(errno(libc::EINVAL)),
    };
    // SAFETY: the caller's promises.
    unsafe { submit(rt, op, start) }
}
