/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! What the Rust peers share: the command line, and the line printed for each row.
//!
//! A program is called with `row=count` arguments and prints one JSON object on a line for each
//! figure; with `--list` it names its rows. The driver gives every program the same counts.

/// A row: `task` runs the work in a spawned task, `root` in the runtime's root future.
pub struct Row {
    pub name: &'static str,
    pub unit: &'static str,
    pub task: fn(u64) -> f64,
    pub root: Option<fn(u64) -> f64>,
}

pub fn run(peer: &str, rows: &[Row]) {
    for arg in std::env::args().skip(1) {
        if arg == "--list" {
            rows.iter().for_each(|r| println!("{}", r.name));
            continue;
        }
        let Some((name, count)) = arg.split_once('=') else {
            fail(&format!("{arg}: expected row=count"));
        };
        let Some(row) = rows.iter().find(|r| r.name == name) else {
            fail(&format!("{name}: {peer} has no such row"));
        };
        let Ok(n) = count.parse() else {
            fail(&format!("{count}: not a count"));
        };
        print(peer, name, (row.task)(n), row.unit);
        if let Some(root) = row.root {
            print(peer, &format!("{name}_root"), root(n), row.unit);
        }
    }
}

fn print(peer: &str, row: &str, value: f64, unit: &str) {
    println!(r#"{{"row":"{row}","peer":"{peer}","value":{value:.3},"unit":"{unit}"}}"#);
}

fn fail(text: &str) -> ! {
    eprintln!("{text}");
    std::process::exit(2);
}
