// SPDX-License-Identifier: MIT OR Apache-2.0
//! Clients for C: of redis, PostgreSQL, and opendal. CMake writes their header, clients.h.

pub use nart_tokio::*;

pub mod database;
pub mod kv;
pub mod store;
