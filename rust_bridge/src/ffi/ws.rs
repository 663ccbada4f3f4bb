// SPDX-License-Identifier: MIT OR Apache-2.0
//! WebSockets. The C interface of http/ws.rs.
//!
//! Ownership: everything that the options point to is copied at submission, and the ends of channels
//! are taken over.

use std::ffi::c_char;
use std::mem::{offset_of, size_of};
use std::time::Duration;

use super::http::{pairs, NartHttpHeader};
use super::http_client::NartHttpClient;
use super::{bytes, sized, slice, submit, NartTokio, NartTokioOp};
use crate::byte_channel::{NartBytesRx, NartBytesTx};
use crate::clock;
use crate::http::ws::{Options, CONTROL_MAX};
use crate::http::{pack, HttpQueue, Redirects, Request, Streams};
use crate::op::Handle;
use crate::sys::{errno, Res, NEVER};

/// The defaults: 30 and 5 seconds.
const TIMEOUT: i64 = 30_000_000_000;
const CLOSE_TIMEOUT: i64 = 5_000_000_000;

/// UTF-8.
pub const NART_WS_TEXT: u32 = 1;
/// Any bytes.
pub const NART_WS_BINARY: u32 = 2;
/// To send only: closes the connection, with `code` and a reason, at most 123 bytes of UTF-8.
pub const NART_WS_CLOSE: u32 = 8;
/// At most 125 bytes. One that is received has been answered.
pub const NART_WS_PING: u32 = 9;
/// At most 125 bytes: the answer to a ping.
pub const NART_WS_PONG: u32 = 10;

/// The begin of each message in the channels of a WebSocket. The payload follows it, up to the end of
/// the message; it is aligned to 8 bytes.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct NartWsMsg {
    /// NART_WS_TEXT, NART_WS_BINARY, NART_WS_CLOSE, NART_WS_PING or NART_WS_PONG
    pub kind: u32,
    /// of NART_WS_CLOSE: 1000 to 1003, 1007 to 1014 or 3000 to 4999; or 0: none, and no reason. It is
    /// ignored in others
    pub code: u32,
}

impl NartWsMsg {
    pub(crate) fn to_bytes(self) -> [u8; size_of::<NartWsMsg>()] {
        let mut bytes = [0; size_of::<NartWsMsg>()];
        bytes[..4].copy_from_slice(&self.kind.to_ne_bytes());
        bytes[4..].copy_from_slice(&self.code.to_ne_bytes());
        bytes
    }

    /// A message, and its payload. None: it is too short.
    pub(crate) fn split(message: &[u8]) -> Option<(NartWsMsg, &[u8])> {
        let (kind, rest) = message.split_first_chunk()?;
        let (code, payload) = rest.split_first_chunk()?;
        let head = NartWsMsg {
            kind: u32::from_ne_bytes(*kind),
            code: u32::from_ne_bytes(*code),
        };
        Some((head, payload))
    }
}

/// A WebSocket. Initialise with NART_WS_OPTS_INIT and set at least `url`, `outgoing` and `incoming`.
#[repr(C)]
#[derive(Debug)]
pub struct NartWsOpts {
    /// sizeof(nart_ws_opts)
    pub size: usize,
    /// a ws or wss URL
    pub url: *const c_char,
    /// header fields of the handshake, as nart_http_opts.headers. Connection and all whose names begin
    /// with Sec-WebSocket- are refused, too
    pub headers: *const NartHttpHeader,
    /// number of entries in `headers`
    pub n_headers: usize,
    /// subprotocols that you support, the preferred one first: "one, other". The server selects one, or
    /// none: see the header Sec-WebSocket-Protocol of `connected`. NULL: none
    pub protocols: *const c_char,
    /// the client that connects, as nart_http_opts.client: its TLS configuration, proxy, Unix socket,
    /// hosts, User-Agent and timeouts (of the handshake). HTTP/1.1 is spoken whatever its `http2` says. A
    /// proxy with an http URL gets a request for a ws URL, not CONNECT, and has to pass on the upgrade
    pub client: *mut NartHttpClient,
    /// the messages to send: a receiver of this thread, into whose channel you send. Its capacity limits
    /// what waits to be sent. Closing the sender closes the connection with the code 1000
    pub outgoing: *mut NartBytesRx,
    /// gets the messages that are received: a sender, from whose channel you receive. While it is full,
    /// nothing is read from the connection, so the server waits, and pings are not answered. Its
    /// messages may be at least 133 bytes long. If you close the receiver, what arrives later is
    /// dropped
    pub incoming: *mut NartBytesTx,
    /// limit for a received message in bytes, without its nart_ws_msg; 0: what fits into a message of
    /// `incoming`, and it cannot be more
    pub max_message: usize,
    /// limit for each frame in bytes; 0: `max_message`. If it is below 125, pings may exceed it
    pub max_frame: usize,
    /// limit for the handshake: from submission to the head of the response; 0: 30 seconds;
    /// NART_NEVER: none
    pub timeout_ns: i64,
    /// limit for the server to answer a close frame, and then to close the connection; 0: 5 seconds;
    /// NART_NEVER: none
    pub close_timeout_ns: i64,
    /// gets a second operation, which ends when the connection is open: with 101 as its value, and
    /// nart_http_headers() of the response; if it is not opened, as the first one does. Close it, too.
    /// Cancelling it does nothing. NULL: none
    pub connected: *mut NartTokioOp,
    #[doc(hidden)]
    pub reserved: [u64; 6],
}

const _: () = assert!(offset_of!(NartWsOpts, reserved) == 104);

/// The shortest max_len of `incoming`.
const SHORTEST: usize = size_of::<NartWsMsg>() + CONTROL_MAX;

/// Opens a WebSocket: messages of `outgoing` are sent to the server, and those of the server to
/// `incoming`. You may send before the connection is open. The operation ends with the connection:
/// with 0 if the server has sent a close frame, with its code as the value (1005: none) and its reason
/// as the message; otherwise with an error, and the cause as the message:
///   NART_EHTTP_URL, NART_EHTTP_DNS, NART_EHTTP_CONNECT, NART_EHTTP_TLS, NART_EHTTP_CLOSED,
///   NART_EHTTP_PROTOCOL, NART_EHTTP_CONNECT_TIMEOUT, NART_EHTTP_READ_TIMEOUT, NART_EHTTP_OTHER,
///   -EAGAIN the handshake failed, as a request of nart_http_request() does;
///   NART_EHTTP_TIMEOUT `timeout_ns` has passed, or `close_timeout_ns` without a close frame;
///   NART_EWS_REFUSED the server answered with another status than 101: see nart_http_status();
///   NART_EWS_PROTOCOL the response of the handshake is not valid (another key, an extension or a
///   subprotocol that was not requested), or a frame is not, or a text is not UTF-8;
///   NART_EWS_LIMIT a message is larger than `max_message`, or a frame than `max_frame`;
///   NART_EWS_CLOSED the connection was closed, reset or lost without a close frame;
///   -EINVAL a header, `protocols` or a message that you sent is not valid.
/// Both channels are closed before: receiving returns NART_ECLOSED after the last message, and
/// sending NART_ECLOSED. nart_http_headers() and the others describe the response to the handshake;
/// its URL begins with http in place of ws.
///
/// To close the connection, send NART_WS_CLOSE, or close the sender; receive until NART_ECLOSED, and
/// await the operation. Messages that were sent before it are sent before; later ones are refused. If
/// the server closes first, its close frame is answered, and what is left in `outgoing` is dropped.
/// After an error of the server, or of yours, a close frame says why: 1002, 1007, 1009 or 1001.
/// Cancelling or closing the operation, or a shutdown of the bridge, ends the connection without one.
///
/// Messages are received whole, and sent in one frame. Pings are answered; they and pongs are
/// received, too. To detect a server that vanished, send pings and expect pongs. Redirects are not
/// followed, but are NART_EWS_REFUSED. No extension (compression) is used. The handshake counts as a
/// request for `max_http` and `max_requests`; an open connection does not.
///
/// Memory: the two channels, at most two messages in each direction, and less than 100 KiB.
///
/// ```c
/// struct chat {
///     nart_co co;
///     nart_tokio *tokio;
///     nart_rt *rt;
///     nart_tokio_op op;
///     nart_bytes_tx tx;
///     nart_bytes_rx rx;
///     nart_bytes_buf buf;
///     nart_bytes_msg msg;
///     int64_t code;
/// };
///
/// static nart_res chat_open(struct chat *f)
/// {
///     nart_bytes_opts channel = NART_BYTES_OPTS_INIT;
///     nart_ws_opts opts = NART_WS_OPTS_INIT;
///     nart_bytes_tx incoming = { 0 };
///     nart_bytes_rx outgoing = { 0 };
///
///     channel.kind = NART_BYTES_SPSC;
///     channel.capacity = 64 << 10;
///     nart_res r = nart_bytes_open(f->rt, &channel, &f->tx, &outgoing);
///     if (r == 0)
///         r = nart_bytes_open(f->rt, &channel, &incoming, &f->rx);
///     opts.url = "ws://localhost:8080/chat";
///     opts.outgoing = &outgoing;
///     opts.incoming = &incoming;
///     if (r == 0)
///         r = nart_ws_connect(f->tokio, &opts, &f->op);
///     nart_bytes_rx_close(&outgoing); // only if it was not taken over
///     nart_bytes_tx_close(&incoming);
///     return r;
/// }
///
/// static nart_res chat_run(nart_cx *cx, void *frame)
/// {
///     static const char hello[] = "hello";
///     struct chat *f = frame;
///     nart_res r = 0;
///
///     NART_BEGIN(cx, &f->co);
///     r = chat_open(f);
///     if (r == 0)
///         NART_AWAIT(r, nart_bytes_claim(cx, &f->tx, sizeof(nart_ws_msg) + 5, &f->buf));
///     if (r == 0) {
///         nart_ws_msg *msg = f->buf.ptr;
///         msg->kind = NART_WS_TEXT;
///         memcpy(msg + 1, hello, 5);
///         r = nart_bytes_commit(&f->tx, &f->buf);
///     }
///     while (r == 0) {
///         NART_AWAIT(r, nart_bytes_recv(cx, &f->rx, &f->msg));
///         if (r == 0) {
///             const nart_ws_msg *msg = f->msg.ptr;
///             if (msg->kind == NART_WS_TEXT)
///                 fwrite(msg + 1, 1, f->msg.len - sizeof *msg, stdout);
///             r = nart_bytes_release(&f->rx, &f->msg);
///         }
///     }
///     if (r == NART_ECLOSED) // the end, or an error: the operation says which
///         NART_AWAIT(r, nart_tokio_op_await(cx, &f->op, &f->code));
///     printf("%s, code %d: %s\n", nart_err_name(r), (int)f->code,
///            nart_tokio_op_message(&f->op, NULL));
///     nart_tokio_op_close(&f->op);
///     nart_bytes_tx_close(&f->tx);
///     nart_bytes_rx_close(&f->rx);
///     NART_END(r);
/// }
/// ```
///
/// @return 0 and `*op`; -EINVAL no `rt`, `op`, URL or channel, a negative time, a length without its
///   text, a client of another bridge, a `max_message` beyond `incoming`, an `incoming` with a max_len
///   below 133, or an `outgoing` of a SPINNING channel; -EAGAIN `queue_cap` requests wait; -EBUSY a task
///   waits in an end of a channel, or it holds a message or a claim; NART_ECLOSED an end of a channel
///   is closed, or nobody would receive from `incoming`; NART_EWRONGTHREAD `outgoing` belongs to
///   another thread; NART_ESHUTDOWN; -ENOMEM; NART_EABI the options are of another version; NART_EFORK.
/// **Ownership**: everything is copied before this returns. The ends of channels are taken over, and
/// then closed; on an error they remain the caller's, but `outgoing` may be bound to no runtime.
/// **Thread**: any. **Cost**: copies and allocations; a system call when tokio's threads sleep. A
/// message is copied once into `incoming`, and once out of `outgoing`.
///
/// # Safety
/// `rt` is NULL or live; `opts` is NULL or valid, and so is all that it points at; `op` is NULL, or
/// writable and without an open operation.
#[must_use]
#[no_mangle]
pub unsafe extern "C" fn nart_ws_connect(
    rt: *mut NartTokio,
    opts: *const NartWsOpts,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the caller's promises.
    unsafe {
        submit(rt, op, |bridge| -> Result<Handle, Res> {
            let invalid = errno(libc::EINVAL);
            let o = sized(opts, offset_of!(NartWsOpts, reserved))?;
            if let Some(connected) = o.connected.as_mut() {
                *connected = NartTokioOp::of(None);
            }
            let no_channel = o.outgoing.is_null() || o.incoming.is_null();
            if o.url.is_null() || no_channel || o.timeout_ns < 0 || o.close_timeout_ns < 0 {
                return Err(invalid);
            }
            let client = NartHttpClient::of(o.client, &bridge.0).ok_or(invalid)?;
            let headers = pairs(slice(o.headers, o.n_headers)?)?;
            let taken = Streams::take(o.outgoing, None, o.incoming);
            let mut taken = taken.map_err(|error| error.code())?;
            let longest = taken.response.as_ref().map_or(0, |tx| tx.max_len());
            let Some(max_message) = max_message(o.max_message, longest) else {
                taken.give_back(o.outgoing, o.incoming);
                return Err(invalid);
            };
            taken.ws = Some(Options {
                protocols: bytes(o.protocols, b"").to_vec(),
                max_message,
                max_frame: match o.max_frame {
                    0 => max_message.max(CONTROL_MAX), // else a short limit would refuse pings
                    given => given.min(max_message.max(CONTROL_MAX)),
                },
                close_timeout: match o.close_timeout_ns {
                    NEVER => None,
                    0 => Some(Duration::from_nanos(CLOSE_TIMEOUT as u64)),
                    given => Some(Duration::from_nanos(given as u64)),
                },
            });
            let timeout = match o.timeout_ns {
                0 => TIMEOUT,
                given => given,
            };
            let request = Request {
                url: bytes(o.url, b""),
                method: b"GET",
                body: &[],
                deadline: clock::now().saturating_add(timeout),
                max_body: 0,
                redirects: Redirects::None,
            };
            let write = |scratch: &mut Vec<u8>| pack(scratch, &request, headers);
            let with_head = !o.connected.is_null();
            let mut streams = Some(Box::new(taken));
            let begun = HttpQueue::submit(&bridge.0, client, &mut streams, with_head, write);
            if let (Err(_), Some(streams)) = (&begun, streams) {
                streams.give_back(o.outgoing, o.incoming);
            }
            let begun = begun?;
            if with_head {
                *o.connected = NartTokioOp::of(begun.head);
            }
            Ok(begun.request)
        })
    }
}

/// None: a message does not fit into the channel, whose messages have at most `longest` bytes.
fn max_message(given: usize, longest: usize) -> Option<usize> {
    let fits = longest.checked_sub(size_of::<NartWsMsg>())?;
    match given {
        _ if longest < SHORTEST => None,
        0 => Some(fits),
        given => (given <= fits).then_some(given),
    }
}
