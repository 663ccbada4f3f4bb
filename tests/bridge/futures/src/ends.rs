// SPDX-License-Identifier: MIT OR Apache-2.0
//! Futures that use an end of a channel of values, a oneshot or a token. futures.h describes each.

use std::ffi::c_void;
use std::future::{poll_fn, Future};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use futures_sink::Sink;
use nart_tokio::cancel::{NartToken, Token};
use nart_tokio::channel::{NartRx, NartTx, Receiver, Sender};
use nart_tokio::oneshot::{NartOneshotRx, NartOneshotTx, OneshotReceiver, OneshotSender};
use nart_tokio::{export, Error, NartTokio, NartTokioOp, Outcome, Res, Rt};
use tokio_util::sync::CancellationToken;

/// Polls a future on a new thread each time.
pub struct Migrates<F>(pub Pin<Box<F>>);

impl<F: Future + Send> Future for Migrates<F>
where
    F::Output: Send,
{
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let future = self.0.as_mut();
        let waker = cx.waker();
        std::thread::scope(|scope| {
            let polls = scope.spawn(|| future.poll(&mut Context::from_waker(waker)));
            polls.join().expect("the poll does not panic")
        })
    }
}

/// Polls a future once, and drops it unless it is ready.
pub async fn once<F: Future>(future: F) -> Option<F::Output> {
    let mut future = std::pin::pin!(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

pub async fn next<S: Stream + Unpin>(stream: &mut S) -> Option<S::Item> {
    poll_fn(|cx| Pin::new(&mut *stream).poll_next(cx)).await
}

/// Sends everything that it receives.
async fn relay(mut rx: Receiver<u64>, mut tx: Sender<u64>, how: u32) -> Result<i64, Error> {
    let mut n = 0;
    match how {
        0 => {
            while let Some(value) = rx.recv().await? {
                tx.send(value).await?;
                n += 1;
            }
        }
        1 => {
            while let Some(value) = next(&mut rx).await {
                poll_fn(|cx| Pin::new(&mut tx).poll_ready(cx)).await?;
                Pin::new(&mut tx).start_send(value?)?;
                n += 1;
            }
            poll_fn(|cx| Pin::new(&mut tx).poll_close(cx)).await?;
        }
        2 => loop {
            // Abandoned each time before they wait for long.
            let Some(value) = once(rx.recv()).await.transpose()? else {
                tokio::task::yield_now().await;
                continue;
            };
            let Some(value) = value else {
                break;
            };
            while once(tx.send(value)).await.transpose()?.is_none() {
                tokio::task::yield_now().await;
            }
            n += 1;
        },
        _ => {
            while let Some(value) = rx.recv_blocking(None)? {
                tx.send_blocking(value, None)?;
                n += 1;
            }
        }
    }
    Ok(n)
}

#[no_mangle]
pub unsafe extern "C" fn test_chan_relay(
    rt: *mut NartTokio,
    rx: *mut NartRx,
    tx: *mut NartTx,
    how: u32,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the test's promises.
    let ends = unsafe { Receiver::from_c(rx).and_then(|rx| Ok((rx, Sender::from_c(tx)?))) };
    let (rx, tx) = match ends {
        Ok(ends) => ends,
        Err(error) => return error.code(),
    };
    let relay = async move { Outcome::from(relay(rx, tx, how % 10).await) };
    // SAFETY: the test's promises.
    unsafe {
        match how >= 10 {
            true => export(rt, op, || Migrates(Box::pin(relay))),
            false => export(rt, op, || relay),
        }
    }
}

/// Tasks of tokio with a clone each, whose last poll may be on another worker: they send `n` values,
/// the task's number and 0, 1, 2 and so on. The last one is a thread.
#[no_mangle]
pub unsafe extern "C" fn test_chan_senders(
    rt: *mut NartTokio,
    tx: *mut NartTx,
    tasks: u64,
    n: u64,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the test's promises.
    let tx = match unsafe { Sender::<u64>::from_c(tx) } {
        Ok(tx) => tx,
        Err(error) => return error.code(),
    };
    let all = async move {
        let mut ends = Vec::new();
        for task in 1..tasks {
            let mut tx = tx.try_clone()?;
            ends.push(tokio::spawn(async move {
                for i in 0..n {
                    tx.send(task << 32 | i).await?;
                }
                Ok::<(), Error>(())
            }));
        }
        let mut tx = tx;
        let last = (0..n).map(move |i| tx.send_blocking(tasks << 32 | i, None));
        ends.push(tokio::task::spawn_blocking(move || last.collect()));
        for end in ends {
            end.await.expect("it does not panic")?;
        }
        Ok::<i64, Error>(0)
    };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, || all) }
}

/// Takes an end over, gives it back, and says why not if it was refused.
#[no_mangle]
pub unsafe extern "C" fn test_chan_rx_cross(rx: *mut NartRx, value: *mut u64) -> Res {
    // SAFETY: the test's promises.
    unsafe {
        match Receiver::from_c(rx) {
            Ok(mut end) => {
                *value = end.try_recv().unwrap_or(0);
                rx.write(end.into_c());
                0
            }
            Err(error) => error.code(),
        }
    }
}

#[no_mangle]
pub unsafe extern "C" fn test_chan_tx_cross(tx: *mut NartTx, value: u64) -> Res {
    // SAFETY: the test's promises.
    unsafe {
        match Sender::from_c(tx) {
            Ok(mut end) => {
                let sent = end.try_send(value);
                tx.write(end.into_c());
                sent.map_or_else(|e| e.code(), |()| 0)
            }
            Err(error) => error.code(),
        }
    }
}

/// An end in the hands of C.
#[no_mangle]
pub unsafe extern "C" fn test_chan_rx_new(rx: *mut NartRx) -> *mut c_void {
    // SAFETY: the test's promises.
    let rx = unsafe { Receiver::<u64>::from_c(rx) }.expect("it can cross");
    Box::into_raw(Box::new(rx)).cast()
}

/// The next value, or an error.
#[no_mangle]
pub unsafe extern "C" fn test_chan_rx_try(rx: *mut c_void) -> Res {
    // SAFETY: from test_chan_rx_new().
    let rx = unsafe { &mut *rx.cast::<Receiver<u64>>() };
    rx.try_recv()
        .map_or_else(|e| e.code(), |value| value as Res)
}

#[no_mangle]
pub unsafe extern "C" fn test_chan_rx_drop(rx: *mut c_void) {
    // SAFETY: from test_chan_rx_new(), and not used again.
    drop(unsafe { Box::from_raw(rx.cast::<Receiver<u64>>()) });
}

// ---- oneshots ----

/// Answers 42, after some polls. Or never, if `!answers`.
#[no_mangle]
pub unsafe extern "C" fn test_oneshot_answer(
    rt: *mut NartTokio,
    tx: *mut NartOneshotTx,
    answers: bool,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the test's promises.
    let tx = match unsafe { OneshotSender::<u64>::from_c(tx) } {
        Ok(tx) => tx,
        Err(error) => return error.code(),
    };
    let answer = async move {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        if !answers {
            std::future::pending::<()>().await;
        }
        tx.send(42)
    };
    // SAFETY: the test's promises.
    unsafe { export(rt, op, || answer) }
}

/// The value that C sends.
#[no_mangle]
pub unsafe extern "C" fn test_oneshot_value(
    rt: *mut NartTokio,
    rx: *mut NartOneshotRx,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the test's promises.
    match unsafe { OneshotReceiver::<i64>::from_c(rx) } {
        // SAFETY: as above.
        Ok(rx) => unsafe { export(rt, op, || rx) },
        Err(error) => error.code(),
    }
}

// ---- tokens ----

/// Ends when C cancels the token.
#[no_mangle]
pub unsafe extern "C" fn test_token_wait(
    tokio: *mut NartTokio,
    rt: *mut Rt,
    token: *const NartToken,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the test's promises.
    match unsafe { Token::from_c(token).and_then(|token| token.listen(rt)) } {
        // SAFETY: as above.
        Ok(listener) => unsafe { export(tokio, op, || async move { listener.cancelled().await }) },
        Err(error) => error.code(),
    }
}

/// Joins the token to one of tokio-util, for which a future of Rust waits; `by_rust`: another one
/// cancels it. Ends when that has ended and the token of C is cancelled.
#[no_mangle]
pub unsafe extern "C" fn test_token_join(
    tokio: *mut NartTokio,
    rt: *mut Rt,
    token: *const NartToken,
    by_rust: bool,
    op: *mut NartTokioOp,
) -> Res {
    // SAFETY: the test's promises.
    let both = unsafe { Token::from_c(token).and_then(|t| Ok((t.listen(rt)?, t))) };
    let (listener, token) = match both {
        Ok(both) => both,
        Err(error) => return error.code(),
    };
    let rust = CancellationToken::new();
    let (waits, cancels) = (rust.clone(), rust.clone());
    let all = async move {
        let waits = tokio::spawn(async move { waits.cancelled().await });
        if by_rust {
            tokio::spawn(async move { cancels.cancel() });
        }
        let cancelled = rust.clone().cancelled_owned();
        listener.join(cancelled, move || rust.cancel()).await;
        waits.await.expect("it does not panic");
        i64::from(token.is_cancelled())
    };
    // SAFETY: the test's promises.
    unsafe { export(tokio, op, || all) }
}
