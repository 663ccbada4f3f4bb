// SPDX-License-Identifier: MIT OR Apache-2.0
//! TLS, with rustls and ring.
//!
//! - `config`: certificates and configurations, also those of HTTP clients.
//! - `session`: a connection of C, over its own socket.

pub mod config;
pub mod session;
