// SPDX-License-Identifier: MIT OR Apache-2.0
//! WebSockets (RFC 6455): a connection of the HTTP client, upgraded, whose messages are those of two
//! channels of bytes. The frames are tungstenite's.
//!
//! - `handshake`: the request that opens it, and the check of the response.
//! - `session`: the messages, and the end.
//!
//! 1. A handshake counts as a request for the bounds of the bridge and of the client. An open
//!    WebSocket does not.
//! 2. Memory is bounded: one message and one buffer in each direction, beside the channels.
//! 3. Both channels are closed before the operation ends.

mod handshake;
mod session;
#[cfg(test)]
mod tests;

pub use session::CONTROL_MAX;

use std::sync::Arc;
use std::time::Duration;

use super::client::Client;
use super::exchange::{until, Found};
use super::queue::Waiting;
use super::request::deadline;
use super::streams::RequestBody;
use crate::byte_channel::BytesSender;
use crate::outcome::Outcome;
use crate::sys::errno;

/// What a WebSocket has beside its request.
pub struct Options {
    /// A list, as it is sent; empty: none.
    pub protocols: Vec<u8>,
    pub max_message: usize,
    pub max_frame: usize,
    /// For the peer's part of the end; None: no limit.
    pub close_timeout: Option<Duration>,
}

/// Opens a WebSocket, and passes messages until it ends. The outcome's value is the code of the peer's
/// close frame, its bytes are the reason.
pub async fn run(
    client: Arc<Client>,
    packed: Vec<u8>,
    waiting: Waiting,
    options: Options,
    ends: (Option<RequestBody>, Option<BytesSender>),
    found: &mut Found,
) -> Result<Outcome, Outcome> {
    let (Some(outgoing), Some(incoming)) = ends else {
        return Err(Outcome::error(errno(libc::EINVAL), "a channel is missing"));
    };
    let (deadline, parts) = deadline(&packed);
    let opening = async {
        let _mine = client.permit().await;
        let _permit = waiting.permit().await;
        handshake::open(&client, parts, &options.protocols, found).await
    };
    let stream = until(deadline, opening, "the handshake was complete").await?;
    drop(packed);
    drop(client);
    session::run(stream, &options, outgoing.into_receiver(), incoming).await
}
