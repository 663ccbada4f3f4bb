// SPDX-License-Identifier: MIT OR Apache-2.0
//! HTTP requests of C tasks, with reqwest, rustls and ring.
//!
//! - `queue`: requests are submitted without an allocation on the loop's thread. `request`: how one
//!   is passed to the worker. `framing`: the headers that callers may set.
//! - `exchange`: what the worker does with it. `redirect`: redirects. `head`: the head of the
//!   response. `errors`: the codes.
//! - `streams`: bodies in pieces, and the operation of the head.
//! - `ws`: WebSockets.
//! - `client`: connections. `config`: what can be configured of them. `resolver`: name look-ups.

mod client;
pub mod config;
mod errors;
mod exchange;
mod framing;
mod head;
mod queue;
mod redirect;
mod request;
mod resolver;
mod streams;
#[cfg(feature = "ws")]
pub mod ws;

pub use client::Client;
pub use head::Head;
pub use queue::{start, HttpQueue};
pub use redirect::Redirects;
pub use request::{pack, Request};
pub use streams::Streams;
