// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP requests. The C interface of http.rs.
//!
//! Ownership: everything that the options point to is copied at submission.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;

use super::{bytes, sized, slice, submit, NartTokio, NartTokioOp};
use crate::clock;
use crate::http::{pack, HttpQueue, Redirects, Request};
use crate::op::Handle;
use crate::sys::{errno, Res};

/// The default: 30 seconds.
const TIMEOUT: i64 = 30_000_000_000;

/// A header field of a request.
#[repr(C)]
pub struct NartHttpHeader {
    /// its name
    pub name: *const c_char,
    /// its value
    pub value: *const c_char,
}

/// An HTTP request. Initialise with NART_HTTP_OPTS_INIT and set at least `url`.
#[repr(C)]
pub struct NartHttpOpts {
    /// sizeof(nart_http_opts)
    pub size: usize,
    /// an http or https URL
    pub url: *const c_char,
    /// NULL: GET
    pub method: *const c_char,
    /// header fields, sent in this order; at most 1000; a name may occur more than once. Refused:
    /// Transfer-Encoding, TE, Trailer, Upgrade, Expect, Keep-Alive, Proxy-Connection and
    /// HTTP2-Settings; a Content-Length (which is not needed) other than `body_len`; a Connection
    /// other than close and keep-alive; a second Host. For redirects see `redirects`
    pub headers: *const NartHttpHeader,
    /// number of entries in `headers`
    pub n_headers: usize,
    /// the body; copied
    pub body: *const c_void,
    /// its length in bytes
    pub body_len: usize,
    /// limit for everything from submission to the last byte: waiting, look-ups, redirects; 0: 30
    /// seconds; NART_NEVER: none
    pub timeout_ns: i64,
    /// limit for the response body in bytes; 0: 1 MiB
    pub max_body: usize,
    /// which redirects are followed: NART_HTTP_REDIRECTS_ALL (0), those to the same origin (scheme,
    /// host, port), or none; one that is not followed is the result. To the same origin all headers
    /// are sent again. To another one only these of yours are: Accept, Accept-Charset,
    /// Accept-Encoding, Accept-Language, Cache-Control, Connection, Content-Encoding,
    /// Content-Language, Content-Length, Content-Type, Date, If-Match, If-Modified-Since,
    /// If-None-Match, If-Range, If-Unmodified-Since, Pragma, Range, User-Agent. Any other one may be
    /// a secret; a user name and password in the URL are not sent there either
    pub redirects: u32,
    #[doc(hidden)]
    pub reserved0: u32,
    #[doc(hidden)]
    pub reserved: [u64; 3],
}

/// Follow redirects to any server.
pub const NART_HTTP_REDIRECTS_ALL: u32 = 0;
/// Follow redirects to the same scheme, host and port.
pub const NART_HTTP_REDIRECTS_SAME_ORIGIN: u32 = 1;
/// Follow no redirect.
pub const NART_HTTP_REDIRECTS_NONE: u32 = 2;

const _: () = assert!(offset_of!(NartHttpOpts, reserved) == 80);

/// Sends an HTTP request. The operation ends with 0, the status (200, 404, ...) as its value and
/// the response body as nart_tokio_op_message(). Or it ends with one of these errors, and the cause
/// as the message:
///   NART_EHTTP_URL not a URL, a control character in it, or a scheme other than http and https;
///   NART_EHTTP_CONNECT the name is not known, or the server cannot be reached;
///   NART_EHTTP_TLS the TLS handshake failed;
///   NART_EHTTP_TIMEOUT `timeout_ns` has passed;
///   NART_EHTTP_BODY_LIMIT the body is larger than `max_body`;
///   NART_EHTTP_BODY the body is incomplete, or its chunks are malformed;
///   NART_EHTTP_REDIRECT more than 10 redirects, or, unless `redirects` is NONE, one that is never
///   followed: to a scheme other than http and https, from https to http (http to https is
///   followed), not a URL, two Locations;
///   NART_EHTTP_OTHER no response, or one that is not valid HTTP/1.0 or HTTP/1.1: a malformed or
///   endless head, contradictory lengths, a transfer coding other than chunked, a protocol switch;
///   -EINVAL an invalid method or header, a header that is refused (see `headers`), the method
///   CONNECT, or TRACE with a body;
///   -EAGAIN no thread could be started to look up the name, or to read the certificates.
///
/// Interim responses (100 to 199) are skipped, trailers are dropped, content codings (gzip) are not
/// decoded. A server may respond before it has read the whole body; if it then resets the
/// connection, the operation may end with NART_EHTTP_OTHER, because the reset can overtake the
/// response. Connections are kept alive and reused, at most 16 idle ones per host, for 30 seconds.
/// Requests are never retried: if the server closes a reused connection at that moment, the
/// operation ends with NART_EHTTP_OTHER. Certificates are verified against those of the platform (or
/// of SSL_CERT_FILE and SSL_CERT_DIR); if there are none, an https request ends with NART_EHTTP_TLS.
/// Proxies are not used. A user name and password in the URL are sent as basic authorization. No
/// Referer is sent. The headers of the response are not available.
///
/// At most `max_http` requests of a bridge run at the same time. Others wait for one of those to
/// end, and their `timeout_ns` includes that: submit no more at once if it should not.
///
/// Redirects are responses of status 301, 302, 303, 307 and 308 with a Location. 303 is followed by
/// GET without the body (HEAD stays HEAD), and so are 301 and 302 after POST; otherwise the request
/// is repeated unchanged.
///
/// Names are looked up by getaddrinfo() on threads of the bridge that do nothing else, at most 8 at
/// the same time. Concurrent requests for one name share one look-up; further names are queued. If
/// a name is not looked up in time, the request ends with NART_EHTTP_TIMEOUT. A look-up cannot be
/// stopped: it continues without its request. A shutdown waits for it as for other threads, and
/// reports it.
///
/// @return 0 and `*op`; -EINVAL no `rt`, `op` or URL, a negative time, or an unknown value of
///   `redirects`; -EAGAIN `queue_cap`
///   requests wait; NART_ESHUTDOWN; -ENOMEM; NART_EABI the options are of another version;
///   NART_EFORK.
/// **Ownership**: everything is copied before this returns.
/// **Thread**: any. **Cost**: a copy, without an allocation if the request is shorter than about
/// 200 bytes; a system call when tokio's threads sleep.
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
            let redirects = match o.redirects {
                NART_HTTP_REDIRECTS_ALL => Redirects::All,
                NART_HTTP_REDIRECTS_SAME_ORIGIN => Redirects::SameOrigin,
                NART_HTTP_REDIRECTS_NONE => Redirects::None,
                _ => return Err(errno(libc::EINVAL)),
            };
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
                redirects,
            };
            let pairs = headers
                .iter()
                .map(|h| (bytes(h.name, b""), bytes(h.value, b"")));
            HttpQueue::submit(&bridge.0, |scratch| pack(scratch, &request, pairs))
        })
    }
}
