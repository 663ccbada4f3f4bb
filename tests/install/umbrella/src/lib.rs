// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rust code of a user, for C.

#![forbid(unsafe_code)]

pub use nart_tokio::*;

nart_tokio::export! {
    /// A greeting, in pieces; 5 µs.
    pub struct Greeting {
        /// Its length [bytes];
        pub length: u32,
        pub initial: [u8; 2],
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

    /// Greets, and says how.
    pub async fn greeting(bridge: &Bridge, name: &[u8]) -> Result<Greeting, Failure> {
        let text = greet(bridge, std::str::from_utf8(name)?).await?;
        let begin = text.as_bytes();
        Ok(Greeting { length: text.len() as u32, initial: [begin[0], begin[1]] })
    }
}
