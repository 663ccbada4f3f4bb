// SPDX-License-Identifier: MIT OR Apache-2.0
//! redis for C: what kvproxy awaits. CMake writes the header, redis_client.h.
//!
//! All calls share one connection. redis runs the commands of a connection in their order, and one whose
//! future was dropped was sent before, or never is.

use std::time::Duration;

pub use nart_tokio::*;
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client};

/// The bridge's connection, which is made at the first call, and again by the call after one that found it
/// broken. A call does not wait for a server that refuses connections.
async fn redis(bridge: &Bridge, url: &str) -> Result<ConnectionManager, Failure> {
    let open = || async {
        let config = ConnectionManagerConfig::new()
            .set_number_of_retries(0)
            .set_connection_timeout(Duration::from_secs(10));
        Ok::<_, Failure>(ConnectionManager::new_with_config(Client::open(url)?, config).await?)
    };
    Ok((*bridge.get_or_try_init(open).await?).clone())
}

nart_tokio::export! {
    /// The operation's value is 1 and its message the value of the key; or 0: there is none. (Not -ENOENT: that
    /// may be the error of a connect.)
    pub async fn redis_get(bridge: &Bridge, url: &str, key: &[u8]) -> Result<Outcome, Failure> {
        let value: Option<Vec<u8>> = redis(bridge, url).await?.get(key).await?;
        Ok(value.map_or(Outcome::value(0), |value| Outcome::value_with(1, value)))
    }

    /// Sets the value of a key.
    pub async fn redis_set(bridge: &Bridge, url: &str, key: &[u8], value: &[u8]) -> Result<(), Failure> {
        Ok(redis(bridge, url).await?.set(key, value).await?)
    }

    /// Deletes a key: 1, or 0 if there was none.
    pub async fn redis_del(bridge: &Bridge, url: &str, key: &[u8]) -> Result<i64, Failure> {
        Ok(redis(bridge, url).await?.del(key).await?)
    }
}
