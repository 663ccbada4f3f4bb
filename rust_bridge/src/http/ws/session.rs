// SPDX-License-Identifier: MIT OR Apache-2.0
//! The messages of a WebSocket, and its end.
//!
//! Two futures in one task: `receive` passes messages to the incoming channel, `send` those of the
//! outgoing one to the peer. Each waits for its own channel only, so neither stops the other.
//!
//! The end is one of these:
//! 1. The peer's close frame is received: the outcome is its code and reason.
//! 2. A close frame was sent: the peer has the close timeout to answer it.
//! 3. The peer, or the C code, violates a rule: it ends with an error. A close frame says so.
//! 4. The connection is lost: it ends with an error.
//!
//! Afterwards, but for 4, what is left is sent, and what the peer still sends is dropped until it
//! closes the connection, or the close timeout has passed. Closing it with unread data would reset it,
//! and the peer might lose the close frame.

use std::future::{poll_fn, Future};
use std::io;
use std::pin::{pin, Pin};
use std::sync::Mutex;
use std::task::{ready, Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::WebSocketStream;

use super::Options;
use crate::bridge::lock;
use crate::byte_channel::{BytesReceiver, BytesSender};
use crate::ffi::{
    NartWsMsg, NART_WS_BINARY, NART_WS_CLOSE, NART_WS_PING, NART_WS_PONG, NART_WS_TEXT,
};
use crate::http::errors::{EHTTP_TIMEOUT, EHTTP_TLS, EWS_CLOSED, EWS_LIMIT, EWS_PROTOCOL};
use crate::outcome::Outcome;
use crate::sys::errno;

/// Of each buffer of tungstenite.
const BUFFER: usize = 16 << 10;
/// What a control frame may contain.
pub const CONTROL_MAX: usize = 125;
/// The code of a close frame without one.
const NO_CODE: u16 = 1005;

/// Both futures use it, while they are polled.
type Shared<S> = Mutex<WebSocketStream<S>>;

/// An end with an error. `code`: of the close frame that says so; None: nobody would receive it.
struct Failure {
    outcome: Outcome,
    code: Option<CloseCode>,
}

/// The end of `send`.
enum Sent {
    /// A close frame was sent.
    Close,
    /// The connection is lost.
    Lost(Failure),
    /// A message of C is not valid.
    Refused(Failure),
}

pub async fn run<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    options: &Options,
    outgoing: BytesReceiver,
    incoming: BytesSender,
) -> Result<Outcome, Outcome> {
    let longest = outgoing.max_len() + 8 * CONTROL_MAX;
    let config = WebSocketConfig::default()
        .read_buffer_size(BUFFER)
        .write_buffer_size(BUFFER)
        .max_write_buffer_size(BUFFER + longest)
        .max_message_size(Some(options.max_message))
        .max_frame_size(Some(options.max_frame));
    let ws = WebSocketStream::from_raw_socket(stream, Role::Client, Some(config)).await;
    let ws = Mutex::new(ws);
    let ended = converse(&ws, options, outgoing, incoming).await;
    let (result, code, lost) = match ended {
        Ok(close) => (Ok(close), None, false),
        Err(Failure { outcome, code }) => (Err(outcome), code, code.is_none()),
    };
    if !lost {
        // In vain if the peer does not answer.
        let _ = in_time(options.close_timeout, finish(&ws, code)).await;
    }
    result
}

/// None: the time has passed.
async fn in_time<F: Future>(limit: Option<Duration>, future: F) -> Option<F::Output> {
    match limit {
        None => Some(future.await),
        Some(limit) => tokio::time::timeout(limit, future).await.ok(),
    }
}

/// Passes messages until the peer's close frame or a failure. Both channels are closed then.
async fn converse<S: AsyncRead + AsyncWrite + Unpin>(
    ws: &Shared<S>,
    options: &Options,
    outgoing: BytesReceiver,
    incoming: BytesSender,
) -> Result<Outcome, Failure> {
    let mut receiving = pin!(receive(ws, incoming));
    let mut sending = pin!(send(ws, outgoing));
    // They take turns in being first, because one of them may use up what a task may do in a poll.
    let mut turn = false;
    let first = poll_fn(|cx| {
        turn = !turn;
        for receives in [turn, !turn] {
            if receives {
                if let Poll::Ready(received) = receiving.as_mut().poll(cx) {
                    return Poll::Ready(Err(received));
                }
            } else if let Poll::Ready(sent) = sending.as_mut().poll(cx) {
                return Poll::Ready(Ok(sent));
            }
        }
        Poll::Pending
    });
    let late = match first.await {
        Err(received) => return received,
        Ok(Sent::Refused(failure)) => return Err(failure),
        Ok(Sent::Lost(failure)) => failure,
        Ok(Sent::Close) => {
            let text = "the close timeout passed before the server closed";
            fails(EHTTP_TIMEOUT, text, None)
        }
    };
    // The peer's last messages, and its close frame or the cause of the loss.
    let received = in_time(options.close_timeout, receiving).await;
    received.unwrap_or(Err(late))
}

fn fails(error: i64, text: &str, code: Option<CloseCode>) -> Failure {
    Failure {
        outcome: Outcome::error(error, text),
        code,
    }
}

fn is_lost(e: &io::Error) -> Failure {
    let tls = e.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
    let error = if tls { EHTTP_TLS } else { EWS_CLOSED };
    fails(error, &format!("the connection was lost: {e}"), None)
}

fn failure(e: WsError) -> Failure {
    match e {
        WsError::Io(e) => is_lost(&e),
        WsError::Protocol(ProtocolError::ResetWithoutClosingHandshake)
        | WsError::ConnectionClosed
        | WsError::AlreadyClosed => {
            let text = "the server ended the connection without a close frame";
            fails(EWS_CLOSED, text, None)
        }
        WsError::Capacity(e) => fails(EWS_LIMIT, &e.to_string(), Some(CloseCode::Size)),
        WsError::Utf8(text) => fails(
            EWS_PROTOCOL,
            &format!("a text is not valid UTF-8: {text}"),
            Some(CloseCode::Invalid),
        ),
        other => fails(EWS_PROTOCOL, &other.to_string(), Some(CloseCode::Protocol)),
    }
}

/// Passes messages to C until the peer's close frame. After C has closed its end, they are dropped.
async fn receive<S: AsyncRead + AsyncWrite + Unpin>(
    ws: &Shared<S>,
    mut incoming: BytesSender,
) -> Result<Outcome, Failure> {
    loop {
        let next = poll_fn(|cx| Pin::new(&mut *lock(ws)).poll_next(cx)).await;
        let message = next.unwrap_or(Err(WsError::ConnectionClosed));
        let (kind, payload) = match message.map_err(failure)? {
            Message::Text(text) => (NART_WS_TEXT, Bytes::from(text)),
            Message::Binary(bytes) => (NART_WS_BINARY, bytes),
            Message::Ping(bytes) => (NART_WS_PING, bytes),
            Message::Pong(bytes) => (NART_WS_PONG, bytes),
            Message::Close(frame) => return Ok(closed(frame)),
            Message::Frame(_) => continue, // tungstenite returns none
        };
        let head = NartWsMsg { kind, code: 0 }.to_bytes();
        match incoming.send_parts([&head, &payload]).await {
            Err(e) if !e.is_closed() => {
                return Err(fails(e.code(), &e.to_string(), Some(CloseCode::Away)));
            }
            _ => {}
        }
    }
}

/// The outcome of the peer's close frame. A code that must not be sent is a protocol error for the
/// peer, too.
fn closed(frame: Option<CloseFrame>) -> Outcome {
    match frame {
        None => Outcome::value(NO_CODE.into()),
        Some(CloseFrame { code, reason }) => {
            let code = match code.is_allowed() {
                true => code,
                false => CloseCode::Protocol,
            };
            Outcome::value_with(u16::from(code).into(), reason.as_bytes().to_vec())
        }
    }
}

/// Sends the messages of C, until a close frame or a failure.
async fn send<S: AsyncRead + AsyncWrite + Unpin>(
    ws: &Shared<S>,
    mut outgoing: BytesReceiver,
) -> Sent {
    loop {
        let mut next = outgoing.try_recv().map(|record| Some(parse(&record)));
        if next.as_ref().is_err_and(crate::Error::is_would_block) {
            // Nothing more to put into the same packet.
            if let Err(e) = flush(ws).await {
                return Sent::Lost(failure(e));
            }
            let record = outgoing.recv().await;
            next = record.map(|record| record.map(|record| parse(&record)));
        }
        let message = match next {
            Ok(Some(Ok(message))) => message,
            Ok(Some(Err(why))) => {
                return Sent::Refused(fails(errno(libc::EINVAL), why, Some(CloseCode::Away)));
            }
            Err(e) if !e.is_closed() => {
                return Sent::Refused(fails(e.code(), &e.to_string(), Some(CloseCode::Away)));
            }
            Ok(None) | Err(_) => close_frame(CloseCode::Normal),
        };
        let closes = matches!(message, Message::Close(_));
        if let Err(e) = send_one(ws, message).await {
            return Sent::Lost(failure(e));
        }
        if closes {
            return Sent::Close;
        }
    }
}

fn close_frame(code: CloseCode) -> Message {
    Message::Close(Some(CloseFrame {
        code,
        reason: Utf8Bytes::default(),
    }))
}

/// Sends a message; one that closes at once, others when the buffer is full.
async fn send_one<S: AsyncRead + AsyncWrite + Unpin>(
    ws: &Shared<S>,
    message: Message,
) -> Result<(), WsError> {
    let closes = matches!(message, Message::Close(_));
    if closes {
        // It must fit into the buffer, because it would not be returned; and nothing may follow it.
        flush(ws).await?;
    }
    let mut message = Some(message);
    while let Some(next) = message.take() {
        poll_fn(|cx| Pin::new(&mut *lock(ws)).poll_ready(cx)).await?;
        let sent = Pin::new(&mut *lock(ws)).start_send(next);
        match sent {
            // Pongs that the peer does not read.
            Err(WsError::WriteBufferFull(returned)) => {
                message = Some(*returned);
                flush(ws).await?;
            }
            sent => sent?,
        }
    }
    if closes {
        flush(ws).await?;
    }
    Ok(())
}

/// Sends what tungstenite has buffered, and the answer to a ping or a close. If the buffer has no room
/// for that answer, the first flush makes some, and the second one sends it.
async fn flush<S: AsyncRead + AsyncWrite + Unpin>(ws: &Shared<S>) -> Result<(), WsError> {
    for _ in 0..2 {
        poll_fn(|cx| Pin::new(&mut *lock(ws)).poll_flush(cx)).await?;
    }
    Ok(())
}

/// A message of C's channel, see NartWsMsg.
fn parse(record: &[u8]) -> Result<Message, &'static str> {
    let Some((head, payload)) = NartWsMsg::split(record) else {
        return Err("a message is shorter than its nart_ws_msg");
    };
    let copy = Bytes::copy_from_slice(payload);
    let text = |what| Utf8Bytes::try_from(copy.clone()).map_err(|_| what);
    let is_control = matches!(head.kind, NART_WS_CLOSE | NART_WS_PING | NART_WS_PONG);
    let code_len = if head.kind == NART_WS_CLOSE { 2 } else { 0 };
    if is_control && payload.len() + code_len > CONTROL_MAX {
        return Err("a ping or pong has more than 125 bytes, or a reason more than 123");
    }
    match head.kind {
        NART_WS_TEXT => text("a text is not valid UTF-8").map(Message::Text),
        NART_WS_BINARY => Ok(Message::Binary(copy)),
        NART_WS_PING => Ok(Message::Ping(copy)),
        NART_WS_PONG => Ok(Message::Pong(copy)),
        NART_WS_CLOSE if head.code == 0 && payload.is_empty() => Ok(Message::Close(None)),
        NART_WS_CLOSE => {
            let code = u16::try_from(head.code).map(CloseCode::from);
            match code {
                Ok(code) if code.is_allowed() => Ok(Message::Close(Some(CloseFrame {
                    code,
                    reason: text("the reason of a close is not valid UTF-8")?,
                }))),
                _ => Err("the code of a close must not be sent: use 1000, or 3000 to 4999"),
            }
        }
        _ => Err("the kind of a message is unknown: use NART_WS_*"),
    }
}

/// Ends the connection in order.
async fn finish<S: AsyncRead + AsyncWrite + Unpin>(
    ws: &Shared<S>,
    code: Option<CloseCode>,
) -> io::Result<()> {
    let sent = match code {
        Some(code) => send_one(ws, close_frame(code)).await,
        // The answer to the peer's close frame.
        None => flush(ws).await,
    };
    if sent.is_err() {
        return Ok(());
    }
    poll_fn(|cx| Pin::new(lock(ws).get_mut()).poll_shutdown(cx)).await?;
    let mut dropped = [0; 4096];
    while poll_fn(|cx| poll_read(ws, cx, &mut dropped)).await? > 0 {}
    Ok(())
}

fn poll_read<S: AsyncRead + AsyncWrite + Unpin>(
    ws: &Shared<S>,
    cx: &mut Context<'_>,
    into: &mut [u8],
) -> Poll<io::Result<usize>> {
    let mut buf = ReadBuf::new(into);
    ready!(Pin::new(lock(ws).get_mut()).poll_read(cx, &mut buf))?;
    Poll::Ready(Ok(buf.filled().len()))
}
