// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rust code of a user, for C.

#![forbid(unsafe_code)]

pub use nart_tokio::*;

use std::ffi::CStr;

nart_tokio::export! {
    /// A greeting, in pieces; 5 µs.
    pub struct Greeting {
        /// Its length [bytes];
        pub length: u32,
        pub initial: [u8; 2],
        pub words: [Word; 2],
    }

    /// A word, which C has to know before what contains it.
    pub struct Word {
        pub begin: u8,
        pub length: u8,
        /// In C: `default_`.
        pub default: u8,
    }

    /// Greets `name`.
    ///
    /// The operation ends with -ENOENT for nobody.
    pub async fn greet(_bridge: &Bridge, name: &str) -> Result<String, Failure> {
        match name {
            "" => Err(Failure::new(-2, "nobody is there")),
            name => Ok(format!("hello {name}")),
        }
    }

    /// Adds what have names that C does not have.
    pub async fn greet_names(_bridge: &Bridge, op: u8, rt: &str, register: &[u8], new: &CStr) -> i64 {
        i64::from(op) + (rt.len() + register.len() + new.to_bytes().len()) as i64
    }

    /// Greets, and says how.
    pub async fn greeting(bridge: &Bridge, name: &[u8]) -> Result<Greeting, Failure> {
        let text = greet(bridge, std::str::from_utf8(name)?).await?;
        let begin = text.as_bytes();
        let (hello, you) = text.split_once(' ').unwrap_or((&text, ""));
        let words = [
            Word { begin: 0, length: hello.len() as u8, default: 1 },
            Word { begin: (text.len() - you.len()) as u8, length: you.len() as u8, default: 2 },
        ];
        Ok(Greeting { length: text.len() as u32, initial: [begin[0], begin[1]], words })
    }
}
