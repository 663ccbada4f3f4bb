// SPDX-License-Identifier: MIT OR Apache-2.0
//! The words of the bridge on which several threads decide, in every interleaving that loom explores.
//!
//! usage: nart-bridge-words --list | scenario

mod op_state;
mod spawn_queue;

use std::process::ExitCode;

fn main() -> ExitCode {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    if wanted == "--list" {
        let names = op_state::names().into_iter().chain(spawn_queue::names());
        names.for_each(|name| println!("{name}"));
        return ExitCode::SUCCESS;
    }
    let Some(executions) = op_state::check(&wanted).or_else(|| spawn_queue::check(&wanted)) else {
        eprintln!("usage: nart-bridge-words --list | scenario");
        return ExitCode::from(2);
    };
    println!("{wanted}: {executions} executions");
    ExitCode::SUCCESS
}
