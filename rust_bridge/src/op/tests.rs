// SPDX-License-Identifier: MIT OR Apache-2.0
//! Operations and their memory across threads. Miri runs these tests, too: see ../miri.rs.

use std::future::{pending, ready};
use std::sync::mpsc;
use std::time::Duration;

use tokio::task::yield_now;

use crate::error::Error;
use crate::{Bridge, Operation, Options, Outcome};

const LONG: Duration = Duration::from_secs(600);
const TIMES: i64 = if cfg!(miri) { 8 } else { 2000 };

/// Two of its blocks are kept, the others are allocated and freed.
fn bridge() -> Bridge {
    Bridge::new(&Options::new().keep_ops(2)).unwrap()
}

fn wait(operation: Operation) -> Result<i64, Error> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.build().unwrap().block_on(operation)
}

#[test]
fn each_end_reaches_the_thread_that_waits() {
    let bridge = bridge();
    for value in 0..TIMES {
        let waits = async move {
            yield_now().await;
            Outcome::value_with(value, b"bytes".to_vec())
        };
        let open = [
            bridge.spawn(waits).unwrap(),
            bridge.spawn(ready(Outcome::value(value))).unwrap(),
        ];
        assert!(open
            .into_iter()
            .all(|operation| wait(operation) == Ok(value)));
        let failed = wait(bridge.spawn(async { Outcome::error(-5, "no") }).unwrap()).unwrap_err();
        assert_eq!((failed.code(), failed.to_string()), (-5, "no".into()));
        let never = bridge.spawn(pending::<i64>()).unwrap();
        never.cancel();
        assert!(wait(never).unwrap_err().is_cancelled());
    }
    bridge.shutdown(LONG).unwrap();
}

/// Whoever comes second frees the block.
#[test]
fn handles_are_dropped_while_the_work_ends() {
    let bridge = bridge();
    let (send, receive) = mpsc::channel::<Operation>();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            for (i, operation) in receive.into_iter().enumerate() {
                match i % 2 {
                    0 => drop(operation), // cancels it
                    _ => operation.detach(),
                }
            }
        });
        for i in 0..TIMES {
            let ends = async move {
                if i % 2 == 0 {
                    yield_now().await;
                }
                i
            };
            send.send(bridge.spawn(ends).unwrap()).unwrap();
        }
        drop(send);
    });
    bridge.shutdown(LONG).unwrap();
    assert_eq!(bridge.running(), 0);
}

#[test]
fn a_shutdown_ends_operations_that_others_await() {
    let bridge = bridge();
    let open: Vec<_> = (0..TIMES)
        .map(|i| match i % 2 {
            0 => bridge.spawn(pending::<i64>()).map_err(Error::from).unwrap(),
            _ => bridge.spawn(async { 1 }).unwrap(),
        })
        .collect();
    std::thread::scope(|threads| {
        let waits = threads.spawn(move || open.into_iter().map(wait).collect::<Vec<_>>());
        bridge.shutdown(LONG).unwrap();
        for (i, ended) in waits.join().unwrap().into_iter().enumerate() {
            let shut_down = ended.as_ref().is_err_and(Error::is_shutdown);
            assert!(shut_down || i % 2 == 1 && ended == Ok(1), "{ended:?}");
        }
    });
}
