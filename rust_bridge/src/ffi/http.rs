// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C interface of http.rs.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;

use super::{bytes, sized, slice, submit, NartTokio, NartTokioOp};
use crate::clock;
use crate::http::{pack, Request};
use crate::http_queue::HttpQueue;
use crate::op::Handle;
use crate::sys::{errno, Res};

/// Where none is given: 30 seconds.
const TIMEOUT: i64 = 30_000_000_000;

/// A header of a request.
#[repr(C)]
pub struct NartHttpHeader {
    /// its name
    pub name: *const c_char,
    /// its value
    pub value: *const c_char,
}

/// An HTTP request; begin with NART_HTTP_OPTS_INIT and set at least `url`.
#[repr(C)]
pub struct NartHttpOpts {
    /// sizeof(nart_http_opts)
    pub size: usize,
    /// http or https
    pub url: *const c_char,
    /// NULL: GET
    pub method: *const c_char,
    /// sent in this order, at most 1000; a name may occur more than once. Refused: Transfer-Encoding, TE,
    /// Trailer, Upgrade, Expect, Keep-Alive, Proxy-Connection and HTTP2-Settings; a Content-Length, which
    /// is not needed, that is not `body_len`; a Connection other than close and keep-alive; a second Host.
    /// They are sent again after a redirect to the same origin (scheme, host and port). To another one
    /// Host, Authorization, Cookie, Cookie2 and Proxy-Authorization are not, nor is what the URL has of a
    /// name and a password; all others are
    pub headers: *const NartHttpHeader,
    /// how many headers there are
    pub n_headers: usize,
    /// the request's body
    pub body: *const c_void,
    /// its bytes
    pub body_len: usize,
    /// for all of it, from now to the last byte; 0: 30 seconds; NART_NEVER: none
    pub timeout_ns: i64,
    /// of the answer, in bytes; 0: 1 MiB
    pub max_body: usize,
    #[doc(hidden)]
    pub reserved: [u64; 4],
}

const _: () = assert!(offset_of!(NartHttpOpts, reserved) == 72);

/// Sends an HTTP request. The operation answers 0 with the status (200, 404, ...) as its value, and
/// nart_tokio_op_message() is the body; or one of
///   NART_EHTTP_URL not a URL, a control character in it, or not of http or https; NART_EHTTP_CONNECT
///   the server cannot be reached; NART_EHTTP_TLS; NART_EHTTP_TIMEOUT; NART_EHTTP_BODY_LIMIT the body
///   is larger than `max_body`; NART_EHTTP_BODY it broke off, or its chunks are malformed;
///   NART_EHTTP_REDIRECT more than 10, or to where it is not allowed (another scheme, from https to
///   http, not a URL, two Locations); NART_EHTTP_OTHER no answer, or one that is not of HTTP/1.0 or
///   HTTP/1.1: a malformed or endless head, contradictory lengths, a transfer coding other than
///   chunked, a change of protocol;
///   -EINVAL an invalid method or header, a header that the caller may not set (see `headers`), the
///   methods CONNECT, and TRACE with a body;
/// with the reason as the message. Interim answers (100 to 199) are skipped, trailers dropped, content
/// codings (gzip) left to the caller. A server may answer before it has read the whole body; one that
/// then resets the connection is NART_EHTTP_OTHER, for the reset may outrun its answer. Connections are
/// kept and used again; one that the server closes at that moment is NART_EHTTP_OTHER, for requests are
/// not repeated unasked. Certificates are checked against the platform's (SSL_CERT_FILE and SSL_CERT_DIR
/// say otherwise). Proxies are not used.
///
/// Redirects are answers of status 301, 302, 303, 307 and 308 with a Location. 303, and for POST 301 and
/// 302 as well, are followed by GET without the body (HEAD stays HEAD), the others by the same request.
///
/// Names are looked up by getaddrinfo() on threads of the bridge that do nothing else, at most 8 at once,
/// and once for all requests that ask for the same name meanwhile. More names wait: a request whose name
/// was not looked up in time is NART_EHTTP_TIMEOUT, one for which there is no thread -EAGAIN. A look-up
/// cannot be stopped: it goes on without its request, and a shutdown reports it.
///
/// @return 0 and `*op`; -EINVAL no URL, or numbers out of range; -EAGAIN too many requests wait to
///   be sent; NART_ESHUTDOWN; -ENOMEM; NART_EABI; NART_EFORK.
/// **Ownership**: everything is copied before this returns.
/// **Thread**: any. **Cost**: a copy, without an allocation when the request is shorter than some 200
/// bytes; a system call when tokio's threads sleep.
///
/// # Safety
/// `rt` is NULL or live; `opts` is NULL or valid, and so is all that it points at; `op` is NULL, or
/// writable and without an open operation.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_http_request(
    rt: *mut NartTokio,
    opts: *const NartHttpOpts,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the caller's promises.
    unsafe {
        submit(rt, op, |bridge| -> Result<Handle, Res> {
            let o = sized(opts, offset_of!(NartHttpOpts, reserved))?;
            if o.url.is_null() || o.timeout_ns < 0 {
                return Err(errno(libc::EINVAL));
            }
            let headers = slice(o.headers, o.n_headers)?;
            let timeout = if o.timeout_ns == 0 {
                TIMEOUT
            } else {
                o.timeout_ns
            };
            let request = Request {
                url: bytes(o.url, b""),
                method: bytes(o.method, b"GET"),
                body: slice(o.body.cast::<u8>(), o.body_len)?,
                deadline: clock::now().saturating_add(timeout),
                max_body: if o.max_body == 0 { 1 << 20 } else { o.max_body },
            };
            let pairs = headers
                .iter()
                .map(|h| (bytes(h.name, b""), bytes(h.value, b"")));
            HttpQueue::submit(&bridge.0, |scratch| pack(scratch, &request, pairs))
        })
    }
}
