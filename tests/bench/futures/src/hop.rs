// SPDX-License-Identifier: MIT OR Apache-2.0
//! Rust's side of a message from a loop of C to tokio and back.

use nart_tokio::channel::{NartRx, NartTx, Receiver, Sender};
use nart_tokio::{export, Error, NartTokio, NartTokioOp, Res};

/// A future that sends back what it receives.
///
/// # Safety
/// Those of [`export`]; the ends are open, have 64-bit values, and belong to this thread.
#[no_mangle]
pub unsafe extern "C" fn bench_relay(
    rt: *const NartTokio,
    rx: *mut NartRx,
    tx: *mut NartTx,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the caller's promises.
    let (rx, tx) = unsafe { (Receiver::from_c(rx), Sender::from_c(tx)) };
    let relay = relay(rx.expect("a receiver"), tx.expect("a sender"));
    let ended = async { relay.await.map_or_else(|e| e.code(), |()| 0) };
    // SAFETY: as above.
    unsafe { export(rt, op, || ended) }
}

async fn relay(mut rx: Receiver<u64>, mut tx: Sender<u64>) -> Result<(), Error> {
    while let Some(value) = rx.recv().await? {
        tx.send(value).await?;
    }
    Ok(())
}
