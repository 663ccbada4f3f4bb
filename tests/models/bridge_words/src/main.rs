// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words of the bridge on which several threads decide, in every interleaving that loom explores.
//!
//! usage: nart-bridge-words --list | scenario

mod log_ring;
mod op_state;
mod spawn_queue;

use std::process::ExitCode;

/// What the files take from rust_bridge/src/tracker.rs.
mod tracker {
    #[derive(Default)]
    pub struct Apart<T>(pub T);
}

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    if wanted == "--list" {
        let names = [log_ring::names(), op_state::names(), spawn_queue::names()];
        names.concat().iter().for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let Some(executions) = op_state::check(&wanted)
        .or_else(|| spawn_queue::check(&wanted))
        .or_else(|| log_ring::check(&wanted))
    else {
        eprintln!("usage: nart-bridge-words --list | scenario");
        return ExitCode::from(2);
    };
    println!("{wanted}: {executions} executions");
    ExitCode::SUCCESS
}
