// SPDX-License-Identifier: MIT OR Apache-2.0
//! Is `include/nart/tokio.h` what cbindgen makes of the bridge? With `--write`, makes it so.

use std::{env, error::Error, fs, path::PathBuf, process::ExitCode};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let header = root.join("include/nart/tokio.h");

    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_crate(&root)
        .with_config(cbindgen::Config::from_file(
            root.join("rust_bridge/cbindgen.toml"),
        )?)
        .generate()?
        .write(&mut made);
    let made = for_c(&String::from_utf8(made)?);

    if env::args().any(|arg| arg == "--write") {
        fs::write(&header, made)?;
        return Ok(ExitCode::SUCCESS);
    }
    let committed = fs::read_to_string(&header)?;
    let Some(line) = first_difference(&committed, &made) else {
        return Ok(ExitCode::SUCCESS);
    };
    println!(
        "include/nart/tokio.h differs from the bridge in line {}:",
        line + 1
    );
    println!(
        "  committed: {}",
        committed.lines().nth(line).unwrap_or("(end of file)")
    );
    println!(
        "  generated: {}",
        made.lines().nth(line).unwrap_or("(end of file)")
    );
    println!("To write it anew: cmake --build build/<preset> --target nart-header");
    Ok(ExitCode::FAILURE)
}

/// What cbindgen cannot be told: comments of one line stand on one line, what is said to callers in
/// Rust ("Safety") is left out, and NART_HTTP is 0 or 1, not defined or undefined.
fn for_c(made: &str) -> String {
    let made = made.replace("#if defined(NART_HTTP)", "#if NART_HTTP");
    let mut out: Vec<String> = Vec::new();
    let mut skipping = false;
    for line in made.lines() {
        let text = line.trim_start();
        skipping = (skipping || text == "* # Safety") && text != "*/";
        if skipping {
            continue;
        }
        if text == "*/" {
            while out.last().is_some_and(|last| last.trim() == "*") {
                out.pop();
            }
            let n = out.len();
            if n >= 2 && out[n - 2].trim() == "/**" {
                let said = out[n - 1].trim().trim_start_matches("* ").to_owned();
                let joined = format!("{} {said} */", out[n - 2]);
                if joined.len() <= 100 {
                    out.truncate(n - 2);
                    out.push(joined);
                    continue;
                }
            }
        }
        let blank_twice = line.is_empty() && out.last().is_some_and(String::is_empty);
        if !blank_twice {
            out.push(line.to_owned());
        }
    }
    out.join("\n") + "\n"
}

fn first_difference(a: &str, b: &str) -> Option<usize> {
    if a == b {
        return None;
    }
    let same = a.lines().zip(b.lines()).take_while(|(a, b)| a == b).count();
    Some(same)
}
