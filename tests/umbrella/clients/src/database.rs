// SPDX-License-Identifier: MIT OR Apache-2.0
//! PostgreSQL.

use std::sync::Arc;

use nart_tokio::{Bridge, Failure};
use tokio::sync::Mutex;
use tokio_postgres::{CancelToken, Client, NoTls};

#[derive(Default)]
struct Database(Mutex<Option<Arc<Client>>>);

/// The bridge's connection, which is made at the first call and again when it is lost.
async fn database(bridge: &Bridge, config: &str) -> Result<Arc<Client>, Failure> {
    let database = bridge.get_or_init(Database::default)?;
    let mut held = database.0.lock().await;
    match held.as_ref().filter(|client| !client.is_closed()) {
        Some(client) => Ok(client.clone()),
        None => {
            let (client, connection) = tokio_postgres::connect(config, NoTls).await?;
            tokio::spawn(connection);
            Ok(held.insert(Arc::new(client)).clone())
        }
    }
}

/// Cancels what the server runs for a future that is dropped: others use the same connection.
struct CancelOnDrop(Option<CancelToken>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(token) = self.0.take() {
            tokio::spawn(async move { token.cancel_query(NoTls).await });
        }
    }
}

nart_tokio::export! {
    /// Of an account.
    pub struct Account {
        pub number: i32,
        /// Its first bytes, the rest is 0.
        pub owner: [u8; 16],
        pub balance: f64,
    }

    /// Runs statements.
    pub async fn database_run(bridge: &Bridge, config: &str, sql: &str) -> Result<(), Failure> {
        let client = database(bridge, config).await?;
        let mut cancel = CancelOnDrop(Some(client.cancel_token()));
        let result = client.batch_execute(sql).await;
        cancel.0 = None;
        Ok(result?)
    }

    /// Reads an account; -ENOENT if there is none.
    pub async fn database_account(bridge: &Bridge, config: &str, number: i32) -> Result<Account, Failure> {
        let sql = "SELECT owner, balance FROM accounts WHERE number = $1";
        let row = database(bridge, config).await?.query_opt(sql, &[&number]).await?;
        let row = row.ok_or_else(|| Failure::new(-2, format!("there is no account {number}")))?;
        let (name, mut owner) = (row.get::<_, &str>(0).as_bytes(), [0; 16]);
        owner[..name.len()].copy_from_slice(name);
        Ok(Account { number, owner, balance: row.get(1) })
    }
}
