// SPDX-License-Identifier: MIT OR Apache-2.0
//! Storage of any kind, by opendal.

use nart_tokio::{Bridge, Failure};
use opendal::services::{Fs, Redis};
use opendal::{Error, ErrorKind, Operator};

/// The bridge's storage: files in a folder, `fs:/folder`, or a server, `redis://...`.
async fn store(bridge: &Bridge, place: &str) -> Result<Operator, Failure> {
    let open = || async {
        let builder = match place.strip_prefix("fs:") {
            Some(folder) => Operator::new(Fs::default().root(folder))?.finish(),
            None => Operator::new(Redis::default().endpoint(place))?.finish(),
        };
        Ok::<_, Failure>(builder)
    };
    Ok((*bridge.get_or_try_init(open).await?).clone())
}

fn failure(error: Error) -> Failure {
    match error.kind() {
        ErrorKind::NotFound => Failure::new(-2, error.to_string()),
        _ => error.into(),
    }
}

nart_tokio::export! {
    /// What is known without reading.
    pub struct StoreInfo {
        /// Bytes.
        pub size: u64,
        pub is_folder: bool,
    }

    pub async fn store_write(bridge: &Bridge, place: &str, path: &str, data: &[u8]) -> Result<(), Failure> {
        store(bridge, place).await?.write(path, data.to_vec()).await.map_err(failure)?;
        Ok(())
    }

    pub async fn store_read(bridge: &Bridge, place: &str, path: &str) -> Result<Vec<u8>, Failure> {
        Ok(store(bridge, place).await?.read(path).await.map_err(failure)?.to_vec())
    }

    pub async fn store_info(bridge: &Bridge, place: &str, path: &str) -> Result<StoreInfo, Failure> {
        let about = store(bridge, place).await?.stat(path).await.map_err(failure)?;
        Ok(StoreInfo { size: about.content_length(), is_folder: about.is_dir() })
    }

    pub async fn store_remove(bridge: &Bridge, place: &str, path: &str) -> Result<(), Failure> {
        store(bridge, place).await?.delete(path).await.map_err(failure)
    }
}
