// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP requests. The C interface of http.rs.
//!
//! Ownership: everything that the options point to is copied at submission.

use std::ffi::{c_char, c_void};
use std::mem::offset_of;

use super::http_client::NartHttpClient;
use super::{bytes, bytes_of, sized, slice, submit, NartTokio, NartTokioOp};
use crate::byte_channel::{NartBytesRx, NartBytesTx};
use crate::clock;
use crate::http::{pack, Head, HttpQueue, Redirects, Request, Streams};
use crate::op::Handle;
use crate::outcome::Outcome;
use crate::panic::guard;
use crate::sys::{errno, Res};

/// The default: 30 seconds.
const TIMEOUT: i64 = 30_000_000_000;

/// A header field of a request or a response. Initialise with NART_HTTP_HEADER("name", "value"), or
/// zero it.
#[repr(C)]
#[derive(Debug)]
pub struct NartHttpHeader {
    /// its name; in a response in lower case and terminated by a NUL
    pub name: *const c_char,
    /// its value; in a response terminated by a NUL. It may contain bytes above 127, but no NUL, CR
    /// or LF
    pub value: *const c_char,
    /// length of the name in bytes; 0 in a request: it is terminated by a NUL
    pub name_len: usize,
    /// length of the value in bytes; 0 in a request: it is terminated by a NUL, or NULL (empty)
    pub value_len: usize,
    #[doc(hidden)]
    pub reserved: [u64; 2],
}

/// An HTTP request. Initialise with NART_HTTP_OPTS_INIT and set at least `url`.
#[repr(C)]
#[derive(Debug)]
pub struct NartHttpOpts {
    /// sizeof(nart_http_opts)
    pub size: usize,
    /// an http or https URL
    pub url: *const c_char,
    /// NULL: GET
    pub method: *const c_char,
    /// header fields, at most 1000; those of one name are sent in this order. Refused:
    /// Transfer-Encoding, TE, Trailer, Upgrade, Expect, Keep-Alive, Proxy-Connection and
    /// HTTP2-Settings; a Content-Length (which is not needed) other than `body_len`; a Connection
    /// other than close and keep-alive; a second Host. For redirects see `redirects`
    pub headers: *const NartHttpHeader,
    /// number of entries in `headers`
    pub n_headers: usize,
    /// the body; copied
    pub body: *const c_void,
    /// its length in bytes, or that of `request_body`
    pub body_len: usize,
    /// limit for everything from submission to the last byte: waiting, look-ups, redirects; 0: 30
    /// seconds; NART_NEVER: none
    pub timeout_ns: i64,
    /// limit for the response body in bytes, after decoding; 0: 1 MiB (see `response_body`)
    pub max_body: usize,
    /// which redirects are followed: as the client says (0), NART_HTTP_REDIRECTS_ALL, those to the
    /// same origin (scheme, host, port), or none; one that is not followed is the result. To the same
    /// origin all headers are sent again. To another one only these of yours are: Accept,
    /// Accept-Charset, Accept-Encoding, Accept-Language, Cache-Control, Connection, Content-Encoding,
    /// Content-Language, Content-Length, Content-Type, Date, If-Match, If-Modified-Since,
    /// If-None-Match, If-Range, If-Unmodified-Since, Pragma, Range, User-Agent. Any other one may be
    /// a secret; a user name and password in the URL are not sent there either
    pub redirects: u32,
    #[doc(hidden)]
    pub reserved0: u32,
    /// the client that sends it, made by nart_http_client_new() for the same bridge; NULL: the one
    /// that each bridge has
    pub client: *mut NartHttpClient,
    /// the body of the request in pieces, instead of `body`, which is then NULL: a receiver of this
    /// thread, into whose channel you send; closing the sender ends the body. With a `body_len` it must
    /// have that many bytes (more are not sent); 0: not known, for methods other than GET, HEAD and
    /// TRACE. Redirects are not followed. When the request has ended, sending answers NART_ECLOSED,
    /// perhaps a moment later. NULL: `body`
    pub request_body: *mut NartBytesRx,
    /// gets the body of the response in pieces, in messages of any length: a sender, from whose
    /// channel you receive. While it is full, the server waits. At its end (NART_ECLOSED) the
    /// operation says whether the body is complete: then it ends with 0. If you close the receiver,
    /// it ends with NART_ECLOSED when the next piece arrives. `max_body` 0: no limit. NULL: the body
    /// is the operation's message
    pub response_body: *mut NartBytesTx,
    /// gets a second operation, which ends when the head of the response has been received, before
    /// its body: with the status as its value, and nart_http_headers() of it; without a response as
    /// the request does. Close it, too. Cancelling it does nothing. NULL: none
    pub head: *mut NartTokioOp,
    #[doc(hidden)]
    pub reserved: [u64; 6],
}

/// As the client says; a client that says nothing, and the bridge's: as NART_HTTP_REDIRECTS_ALL.
pub const NART_HTTP_REDIRECTS_DEFAULT: u32 = 0;
/// Follow redirects to any server.
pub const NART_HTTP_REDIRECTS_ALL: u32 = 1;
/// Follow redirects to the same scheme, host and port.
pub const NART_HTTP_REDIRECTS_SAME_ORIGIN: u32 = 2;
/// Follow no redirect.
pub const NART_HTTP_REDIRECTS_NONE: u32 = 3;

const _: () = assert!(offset_of!(NartHttpOpts, reserved) == 112);

/// None: an unknown number.
pub(crate) fn redirects(number: u32, default: Redirects) -> Option<Redirects> {
    match number {
        NART_HTTP_REDIRECTS_DEFAULT => Some(default),
        NART_HTTP_REDIRECTS_ALL => Some(Redirects::All),
        NART_HTTP_REDIRECTS_SAME_ORIGIN => Some(Redirects::SameOrigin),
        NART_HTTP_REDIRECTS_NONE => Some(Redirects::None),
        _ => None,
    }
}

/// Sends an HTTP request. The operation ends with 0, the status (200, 404, ...) as its value and
/// the response body as nart_tokio_op_message(); nart_http_headers() returns the header fields. Or
/// it ends with one of these errors, and the cause as the message:
///   NART_EHTTP_URL not a URL, a control character in it, or a scheme other than http and https;
///   NART_EHTTP_DNS the name of the server cannot be looked up;
///   NART_EHTTP_CONNECT the server cannot be connected to, or a proxy refuses;
///   NART_EHTTP_TLS the TLS handshake failed, or later the TLS connection;
///   NART_EHTTP_TIMEOUT `timeout_ns` has passed;
///   NART_EHTTP_CONNECT_TIMEOUT, NART_EHTTP_READ_TIMEOUT a limit of the client has passed;
///   NART_EHTTP_CLOSED the connection, or in HTTP/2 the stream, was closed, reset or lost before the
///   head of the response was complete;
///   NART_EHTTP_PROTOCOL the response is not valid HTTP/1.0, HTTP/1.1 or HTTP/2: a malformed or
///   endless head, contradictory lengths, a transfer coding other than chunked, a protocol switch;
///   NART_EHTTP_BODY the body is incomplete, or its chunks or content coding are malformed;
///   NART_EHTTP_BODY_LIMIT the body is larger than `max_body`;
///   NART_EHTTP_REDIRECT more than 10 redirects, or, unless `redirects` is NONE, one that is never
///   followed: to a scheme other than http and https, from https to http (http to https is
///   followed), not a URL, two Locations;
///   NART_EHTTP_OTHER another error;
///   NART_ECLOSED the receiver of `response_body` was closed;
///   -EINVAL an invalid method or header, a header that is refused (see `headers`), the method
///   CONNECT, TRACE with a body, or a `request_body` that is refused or shorter than `body_len`;
///   -EAGAIN no thread could be started to look up the name, or to read the certificates.
///
/// Interim responses (100 to 199) are skipped, trailers are dropped. A server may respond before it
/// has read the whole body; if it then resets the connection, the operation may end with
/// NART_EHTTP_CLOSED, because the reset can overtake the response. Requests are never retried: if
/// the server closes a reused connection at that moment, the operation ends with NART_EHTTP_CLOSED.
/// A user name and password in the URL are sent as basic authorization. No Referer is sent. A
/// response has at most 1000 header fields.
///
/// The client that each bridge has speaks HTTP/1.1, uses no proxy and decodes no content codings
/// (gzip). It keeps connections alive and reuses them, at most 16 idle ones per host, for 30 seconds.
/// Certificates are verified against those of the platform (or of SSL_CERT_FILE and SSL_CERT_DIR); if
/// there are none, an https request ends with NART_EHTTP_TLS. For all else see nart_http_client_new().
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
/// A body in pieces, which need not fit into memory:
///
/// ```c
/// nart_http_opts get = NART_HTTP_OPTS_INIT;
/// get.url = "http://localhost:8080/large";
/// get.timeout_ns = NART_NEVER;
/// get.response_body = &tx; // nart_bytes_open() has opened &tx and &f->rx
/// r = nart_http_request(f->tokio, &get, &f->op);
/// while (r == 0) {
///     NART_AWAIT(r, nart_bytes_recv(cx, &f->rx, &f->msg));
///     if (r == 0) {
///         fwrite(f->msg.ptr, 1, f->msg.len, stdout);
///         r = nart_bytes_release(&f->rx, &f->msg);
///     }
/// }
/// if (r == NART_ECLOSED) // the end, or an error: the operation says which
///     NART_AWAIT(r, nart_tokio_op_await(cx, &f->op, &f->status));
/// ```
///
/// @return 0 and `*op`; -EINVAL no `rt`, `op` or URL, a negative time, a length without its text, an
///   unknown value of `redirects`, a client of another bridge, both `body` and `request_body`, or a
///   `request_body` of a SPINNING channel; -EAGAIN `queue_cap` requests wait; -EBUSY a task waits in
///   an end of a channel, or it holds a message or a claim; NART_ECLOSED an end of a channel is
///   closed, or nobody would receive the `response_body`;
///   NART_EWRONGTHREAD `request_body` belongs to another thread; NART_ESHUTDOWN; -ENOMEM; NART_EABI
///   the options are of another version; NART_EFORK.
/// **Ownership**: everything is copied before this returns. The ends of channels are taken over, and
/// then closed; on an error they remain the caller's, but `request_body` may be bound to no runtime.
/// **Thread**: any. **Cost**: a copy, without an allocation if the request is shorter than about
/// 200 bytes and has no channels; a system call when tokio's threads sleep.
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
            if let Some(head) = o.head.as_mut() {
                *head = NartTokioOp::of(None);
            }
            if o.url.is_null() || o.timeout_ns < 0 {
                return Err(errno(libc::EINVAL));
            }
            let invalid = errno(libc::EINVAL);
            let client = NartHttpClient::of(o.client, &bridge.0).ok_or(invalid)?;
            let redirects = redirects(o.redirects, client.config.redirects).ok_or(invalid)?;
            let headers = slice(o.headers, o.n_headers)?;
            let timeout = if o.timeout_ns == 0 {
                TIMEOUT
            } else {
                o.timeout_ns
            };
            let pairs = pairs(headers)?;
            let streamed = !o.request_body.is_null();
            if streamed && !o.body.is_null() {
                return Err(invalid);
            }
            let max_body = match o.max_body {
                0 if o.response_body.is_null() => 1 << 20,
                0 => usize::MAX,
                given => given,
            };
            let request = Request {
                url: bytes(o.url, b""),
                method: bytes(o.method, b"GET"),
                body: match streamed {
                    true => &[],
                    false => slice(o.body.cast::<u8>(), o.body_len)?,
                },
                deadline: clock::now().saturating_add(timeout),
                max_body,
                redirects,
            };
            let mut streams = None;
            if streamed || !o.response_body.is_null() {
                let len = (o.body_len > 0).then_some(o.body_len as u64);
                let taken = Streams::take(o.request_body, len, o.response_body);
                streams = Some(Box::new(taken.map_err(|error| error.code())?));
            }
            let write = |scratch: &mut Vec<u8>| pack(scratch, &request, pairs);
            let with_head = !o.head.is_null();
            let begun = HttpQueue::submit(&bridge.0, client, &mut streams, with_head, write);
            if let (Err(_), Some(streams)) = (&begun, streams) {
                streams.give_back(o.request_body, o.response_body);
            }
            let begun = begun?;
            if with_head {
                *o.head = NartTokioOp::of(begun.head);
            }
            Ok(begun.request)
        })
    }
}

/// Names and values.
///
/// # Safety
/// The pointers are as documented, and outlive the iterator.
pub(super) unsafe fn pairs(
    headers: &[NartHttpHeader],
) -> Result<impl Iterator<Item = (&[u8], &[u8])>, Res> {
    for header in headers {
        let no_name = header.name.is_null() && header.name_len > 0;
        if no_name || header.value.is_null() && header.value_len > 0 {
            return Err(errno(libc::EINVAL));
        }
    }
    // SAFETY: the caller's promises.
    let pair = |h: &NartHttpHeader| unsafe {
        (bytes_of(h.name, h.name_len), bytes_of(h.value, h.value_len))
    };
    Ok(headers.iter().map(pair))
}

static NO_HEADERS: Const<[NartHttpHeader; 1]> = Const([NartHttpHeader::END]);

struct Const<T>(T);

// SAFETY: it does not change, and contains no pointer other than NULL.
unsafe impl<T> Sync for Const<T> {}

/// The head of the response of an operation.
///
/// # Safety
/// `op` is NULL or live, and not closed as long as the reference is used.
unsafe fn head<'a>(op: *const NartTokioOp) -> Option<&'a Head> {
    // SAFETY: the caller's promise; the outcome does not change until the operation is closed.
    let outcome = unsafe { &*(NartTokioOp::handle(op)?.outcome()? as *const Outcome) };
    outcome.head.as_deref()
}

/// The status of the response: 200, 404, ... 0 if there is none: the operation runs, it has ended
/// before a head was received, it was cancelled or shut down, or it is neither of nart_http_request()
/// nor of nart_ws_connect(). If the operation ended with an error after a head was received
/// (NART_EHTTP_BODY, NART_EHTTP_BODY_LIMIT, NART_EHTTP_REDIRECT, NART_EWS_*, a timeout), this and the
/// three functions below describe that head.
/// **Thread**: that of `op`. **Cost**: one load.
///
/// # Safety
/// `op` is NULL or live.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_http_status(op: *const NartTokioOp) -> Res {
    // SAFETY: the caller's promise.
    guard(|| unsafe { head(op) }.map_or(0, |head| Res::from(head.status)))
}

/// The URL that the response is from, after redirects, without user name and password. Never NULL,
/// and terminated by a NUL that `*len` does not count. Empty if there is no response, see
/// nart_http_status(). `len` may be NULL.
/// **Ownership**: the operation's, until it is closed.
/// **Thread**: that of `op`. **Cost**: one load.
///
/// # Safety
/// `op` is NULL or live; `len` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_http_url(op: *const NartTokioOp, len: *mut usize) -> *const c_char {
    guard(|| {
        // SAFETY: the caller's promise.
        let url = unsafe { head(op) }.map_or(&b"\0"[..], Head::url);
        // SAFETY: the caller's promise.
        if let Some(len) = unsafe { len.as_mut() } {
            *len = url.len() - 1;
        }
        url.as_ptr().cast()
    })
}

/// The header fields of the response. Never NULL: an array of `*n` fields, and one more whose `name`
/// is NULL. None if there is no response, see nart_http_status(). `n` may be NULL. Fields with one
/// name are adjacent, in the order in which they were received; the names are in the order in which
/// each was received first.
///
/// ```c
/// for (const nart_http_header *h = nart_http_headers(&f->op, NULL); h->name; h++)
///     printf("%s: %s\n", h->name, h->value);
/// ```
/// **Ownership**: the operation's, until it is closed.
/// **Thread**: that of `op`. **Cost**: one load.
///
/// # Safety
/// `op` is NULL or live; `n` is NULL or writable.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_http_headers(
    op: *const NartTokioOp,
    n: *mut usize,
) -> *const NartHttpHeader {
    guard(|| {
        // SAFETY: the caller's promise.
        let fields = unsafe { head(op) }.map_or(&NO_HEADERS.0[..], Head::fields);
        // SAFETY: the caller's promise.
        if let Some(n) = unsafe { n.as_mut() } {
            *n = fields.len() - 1;
        }
        fields.as_ptr()
    })
}

/// The `i`-th header field with this name, counted from 0. Upper and lower case are the same. A name
/// occurs more than once in Set-Cookie, for example: then ask for 0, 1, ... until there is none.
/// @return the field; NULL: there are no more than `i`.
/// **Ownership**: the operation's, until it is closed.
/// **Thread**: that of `op`. **Cost**: a search through all fields.
///
/// # Safety
/// `op` is NULL or live; `name` is NULL or a string.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_http_header_find(
    op: *const NartTokioOp,
    name: *const c_char,
    i: usize,
) -> *const NartHttpHeader {
    guard(|| {
        // SAFETY: the caller's promises.
        let found = unsafe { head(op).and_then(|head| head.find(bytes(name, b""), i)) };
        found.map_or(std::ptr::null(), std::ptr::from_ref)
    })
}
