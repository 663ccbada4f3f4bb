// SPDX-License-Identifier: MIT OR Apache-2.0
//! Futures that use an end of a channel of bytes. futures.h describes each.

use std::ffi::c_void;

use nart_tokio::byte_channel::{BytesReceiver, BytesSender, NartBytesRx, NartBytesTx};
use nart_tokio::{export, Error, NartTokio, NartTokioOp, Outcome, Res};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

use crate::ends::{next, once, Migrates};

/// Sends everything that it receives.
async fn relay(mut rx: BytesReceiver, mut tx: BytesSender, how: u32) -> Outcome {
    let mut n = 0;
    let end: Result<(), Error> = async {
        match how {
            0 => {
                while let Some(message) = rx.recv().await? {
                    tx.send(&message).await?;
                    n += 1;
                }
            }
            1 => {
                while let Some(message) = next(&mut rx).await {
                    tx.send(&message?).await?;
                    n += 1;
                }
            }
            2 => loop {
                // Abandoned each time before they wait for long.
                let message = match once(rx.recv()).await {
                    None => {
                        tokio::task::yield_now().await;
                        continue;
                    }
                    Some(message) => match message? {
                        None => break,
                        Some(message) => message.to_vec(),
                    },
                };
                while once(tx.send(&message)).await.transpose()?.is_none() {
                    tokio::task::yield_now().await;
                }
                n += 1;
            },
            3 => {
                let mut byte = [0];
                while rx.read(&mut byte).await.is_ok_and(|n| n == 1) {
                    let _ = tx.write_all(&byte).await;
                    n += 1;
                }
            }
            _ => loop {
                let part = rx.fill_buf().await.map_or(0, <[u8]>::len);
                if part == 0 {
                    break;
                }
                let _ = tx.write_all(rx.fill_buf().await.unwrap_or_default()).await;
                rx.consume(part);
                n += 1;
            },
        }
        Ok(())
    }
    .await;
    match end {
        Ok(()) => Outcome::value(n),
        Err(error) => error.into(),
    }
}

unsafe fn take(
    rx: *mut NartBytesRx,
    tx: *mut NartBytesTx,
) -> Result<(BytesReceiver, BytesSender), Error> {
    // SAFETY: the test's promises.
    unsafe { Ok((BytesReceiver::from_c(rx)?, BytesSender::from_c(tx)?)) }
}

#[no_mangle]
pub unsafe extern "C" fn test_bytes_relay(
    rt: *mut NartTokio,
    rx: *mut NartBytesRx,
    tx: *mut NartBytesTx,
    how: u32,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the test's promises.
    let (rx, tx) = match unsafe { take(rx, tx) } {
        Ok(ends) => ends,
        Err(error) => return error.code(),
    };
    let relay = relay(rx, tx, how % 10);
    // SAFETY: the test's promises.
    unsafe {
        match how >= 10 {
            true => export(rt, op, || Migrates(Box::pin(relay))),
            false => export(rt, op, || relay),
        }
    }
}

/// Receives until the end of the channel, after it has closed it if `close`.
#[no_mangle]
pub unsafe extern "C" fn test_bytes_count(
    rt: *mut NartTokio,
    rx: *mut NartBytesRx,
    close: bool,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the test's promises.
    let mut rx = match unsafe { BytesReceiver::from_c(rx) } {
        Ok(rx) => rx,
        Err(error) => return error.code(),
    };
    let count = async move {
        let mut n = 0;
        if close {
            rx.close();
        }
        while let Some(message) = rx.recv().await? {
            n += message.len() as i64;
        }
        Ok::<i64, Error>(n)
    };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, || count) }
}

/// Writes `len` bytes, 0, 1, 2 and so on, with write_all(), and shuts down.
#[no_mangle]
pub unsafe extern "C" fn test_bytes_write(
    rt: *mut NartTokio,
    tx: *mut NartBytesTx,
    len: usize,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the test's promises.
    let mut tx = match unsafe { BytesSender::from_c(tx) } {
        Ok(tx) => tx,
        Err(error) => return error.code(),
    };
    let write = async move {
        let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
        tx.write_all(&bytes).await?;
        tx.flush().await?;
        tx.shutdown().await?;
        let closed = tx.write(&bytes).await.map_err(|e| e.kind());
        assert_eq!(closed, Err(std::io::ErrorKind::BrokenPipe));
        Ok::<i64, std::io::Error>(bytes.len() as i64)
    };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, || write) }
}

// ---- without a future ----

/// An end in the hands of C. NULL: it was refused, with `*error`.
#[no_mangle]
pub unsafe extern "C" fn test_bytes_rx_new(rx: *mut NartBytesRx, error: *mut Res) -> *mut c_void {
    // SAFETY: the test's promises.
    unsafe {
        match BytesReceiver::from_c(rx) {
            Ok(rx) => Box::into_raw(Box::new(rx)).cast(),
            Err(e) => {
                *error = e.code();
                std::ptr::null_mut()
            }
        }
    }
}

#[no_mangle]
pub unsafe extern "C" fn test_bytes_tx_new(tx: *mut NartBytesTx, error: *mut Res) -> *mut c_void {
    // SAFETY: the test's promises.
    unsafe {
        match BytesSender::from_c(tx) {
            Ok(tx) => Box::into_raw(Box::new(tx)).cast(),
            Err(e) => {
                *error = e.code();
                std::ptr::null_mut()
            }
        }
    }
}

/// The length of the next message, or an error.
#[no_mangle]
pub unsafe extern "C" fn test_bytes_rx_try(rx: *mut c_void) -> Res {
    // SAFETY: from test_bytes_rx_new().
    let rx = unsafe { &mut *rx.cast::<BytesReceiver>() };
    match rx.try_recv() {
        Ok(message) => message.len() as Res,
        Err(e) => e.code(),
    }
}

#[no_mangle]
pub unsafe extern "C" fn test_bytes_rx_drop(rx: *mut c_void) {
    // SAFETY: from test_bytes_rx_new(), and not used again.
    drop(unsafe { Box::from_raw(rx.cast::<BytesReceiver>()) });
}

/// Gives the end back to C.
#[no_mangle]
pub unsafe extern "C" fn test_bytes_rx_end(rx: *mut c_void, out: *mut NartBytesRx) {
    // SAFETY: as above.
    unsafe { out.write(Box::from_raw(rx.cast::<BytesReceiver>()).into_c()) }
}

#[no_mangle]
pub unsafe extern "C" fn test_bytes_tx_try(tx: *mut c_void, data: *const u8, len: usize) -> Res {
    // SAFETY: from test_bytes_tx_new(); the test's promise.
    unsafe {
        let tx = &mut *tx.cast::<BytesSender>();
        match tx.try_send(std::slice::from_raw_parts(data, len)) {
            Ok(()) => 0,
            Err(e) => e.code(),
        }
    }
}

#[no_mangle]
pub unsafe extern "C" fn test_bytes_tx_drop(tx: *mut c_void) {
    // SAFETY: from test_bytes_tx_new(), and not used again.
    drop(unsafe { Box::from_raw(tx.cast::<BytesSender>()) });
}

#[no_mangle]
pub unsafe extern "C" fn test_bytes_tx_end(tx: *mut c_void, out: *mut NartBytesTx) {
    // SAFETY: as above.
    unsafe { out.write(Box::from_raw(tx.cast::<BytesSender>()).into_c()) }
}
