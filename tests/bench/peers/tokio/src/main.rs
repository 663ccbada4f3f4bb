/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! The rows of the benchmark on current tokio: a current_thread runtime with a LocalSet, and for
//! the bridge rows a multi-thread runtime used from a foreign thread.

#[path = "../../harness.rs"]
mod harness;
#[path = "../../http_server.rs"]
mod http_server;
#[path = "../../measure.rs"]
mod measure;
#[path = "../../message.rs"]
mod message;
#[path = "../../thread.rs"]
mod thread;

mod bridge;
mod cancel;
mod chan;
mod exec;
mod http;
mod net;
mod stream;
mod timer;

use std::future::Future;

use harness::Row;
use tokio::runtime::Builder;
use tokio::task::{LocalSet, spawn_local};

/// Runs `work` as the root future of a LocalSet on a fresh current_thread runtime.
fn root<T>(work: impl Future<Output = T> + 'static) -> T {
    let rt = Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&rt, work)
}

/// Runs `work` as a local task of a fresh runtime.
fn task<T: 'static>(work: impl Future<Output = T> + 'static) -> T {
    root(async { spawn_local(work).await.expect("a value") })
}

const fn both(name: &'static str, task: fn(u64) -> f64, root: fn(u64) -> f64) -> Row {
    Row { name, unit: "ns", task, root: Some(root) }
}

const fn one(name: &'static str, unit: &'static str, task: fn(u64) -> f64) -> Row {
    Row { name, unit, task, root: None }
}

fn main() {
    harness::run(
        "tokio",
        &[
            both("self_wake_1", |n| task(exec::self_wake(n)), |n| root(exec::self_wake(n))),
            both(
                "self_wake_1000",
                |n| task(exec::self_wake_1000(n)),
                |n| root(exec::self_wake_1000(n)),
            ),
            both("spawn_join", |n| task(exec::spawn_join(n)), |n| root(exec::spawn_join(n))),
            both(
                "spawn_join_1000",
                |n| task(exec::spawn_join_1000(n)),
                |n| root(exec::spawn_join_1000(n)),
            ),
            both("local_pair", |n| task(chan::pair(n)), |n| root(chan::pair(n))),
            both("local_stream", |n| task(chan::stream(n)), |n| root(chan::stream(n))),
            both("local_pingpong", |n| task(chan::pingpong(n)), |n| root(chan::pingpong(n))),
            both("mpsc_pair", |n| task(chan::pair(n)), |n| root(chan::pair(n))),
            both("spsc_bytes_64", |n| task(chan::message_pair(n)), |n| root(chan::message_pair(n))),
            both("mpsc_bytes_64", |n| task(chan::message_pair(n)), |n| root(chan::message_pair(n))),
            one("spsc_stream", "ns", |n| task(stream::stream(n))),
            one("mpsc_stream", "ns", |n| task(stream::stream(n))),
            one("cancel_check", "ns", |n| task(cancel::check(n))),
            one("cancel_100", "ns", |n| task(cancel::crowd(n, 100))),
            one("cancel_1000", "ns", |n| task(cancel::crowd(n, 1000))),
            both(
                "timer_cancel",
                |n| task(timer::cancel_until(n)),
                |n| root(timer::cancel_until(n)),
            ),
            both(
                "timer_cancel_rel",
                |n| task(timer::cancel_rel(n)),
                |n| root(timer::cancel_rel(n)),
            ),
            both(
                "deadline_pingpong",
                |n| task(chan::deadline_pingpong(n)),
                |n| root(chan::deadline_pingpong(n)),
            ),
            both("tcp_echo", |n| task(net::tcp_echo(n)), |n| root(net::tcp_echo(n))),
            one("tcp_echo_64", "ns", |n| task(net::crowd(n, 64))),
            one("tcp_echo_1000", "ns", |n| task(net::crowd(n, 1000))),
            one("bridge_batch", "ns", bridge::batch),
            one("bridge_hop", "ns", bridge::hop),
            one("blocking_batch", "ns", bridge::blocking_batch),
            one("blocking_lone", "ns", bridge::blocking_lone),
            one("tokio_tcp_echo", "ns", net::worker_tcp_echo),
            one("guest_spawn", "ns", |n| root(exec::spawn_join(n))),
            one("guest_pingpong", "ns", |n| root(chan::pingpong(n))),
            one("http_get", "ns", http::gets),
            one("task_bytes", "B", |n| root(exec::task_bytes::<8>(n))),
            one("fiber_yield", "ns", |n| task(exec::self_wake(n))),
            one("fiber_spawn_join", "ns", |n| task(exec::spawn_join(n))),
            one("fiber_pingpong", "ns", |n| task(chan::pingpong(n))),
            one("fiber_memory", "B", |n| root(exec::task_bytes::<128>(n))),
        ],
    );
}
