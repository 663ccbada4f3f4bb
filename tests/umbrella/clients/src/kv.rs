// SPDX-License-Identifier: MIT OR Apache-2.0
//! redis.

use std::time::Duration;

use nart_tokio::{Bridge, Failure};
use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client};

/// The bridge's connection, which is made at the first call and again when it is lost.
async fn kv(bridge: &Bridge, url: &str) -> Result<ConnectionManager, Failure> {
    let connect = || {
        let config = ConnectionManagerConfig::new()
            .set_max_delay(20)
            .set_number_of_retries(3000);
        async { ConnectionManager::new_with_config(Client::open(url)?, config).await }
    };
    let open = || async { connect().await.map_err(Failure::from) };
    Ok((*bridge.get_or_try_init(open).await?).clone())
}

nart_tokio::export! {
    /// The value of a key; -ENOENT if there is none.
    pub async fn kv_get(bridge: &Bridge, url: &str, key: &str) -> Result<Vec<u8>, Failure> {
        let value: Option<Vec<u8>> = kv(bridge, url).await?.get(key).await?;
        value.ok_or_else(|| Failure::new(-2, format!("there is no key {key}")))
    }

    pub async fn kv_set(bridge: &Bridge, url: &str, key: &str, value: &[u8]) -> Result<(), Failure> {
        Ok(kv(bridge, url).await?.set(key, value).await?)
    }

    /// The value as a number. It must be one.
    pub async fn kv_number(bridge: &Bridge, url: &str, key: &str) -> Result<i64, Failure> {
        let text = String::from_utf8(kv_get(bridge, url, key).await?)?;
        Ok(text.parse().expect("the value is a number"))
    }

    /// Waits for an element of a list, on a connection of its own; -ETIMEDOUT after `ms`.
    pub async fn kv_pop(_bridge: &Bridge, url: &str, list: &str, ms: u64) -> Result<Vec<u8>, Failure> {
        let mut connection = Client::open(url)?.get_multiplexed_async_connection().await?;
        let pop = connection.blpop::<_, (String, Vec<u8>)>(list, 0.0);
        Ok(tokio::time::timeout(Duration::from_millis(ms), pop).await??.1)
    }
}
