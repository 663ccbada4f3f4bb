// SPDX-License-Identifier: MIT OR Apache-2.0
//! Is `include/nart/tokio.h` what cbindgen makes of the bridge? With `--write`, makes it so.

use std::{env, error::Error, fs, path::PathBuf, process::ExitCode};

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let header = root.join("include/nart/tokio.h");

    let mut made = Vec::new();
    cbindgen::Builder::new()
        .with_crate(&root)
        .with_config(cbindgen::Config::from_file(root.join("rust_bridge/cbindgen.toml"))?)
        .generate()?
        .write(&mut made);
    let made = String::from_utf8(made)?;

    if env::args().any(|arg| arg == "--write") {
        fs::write(&header, made)?;
        return Ok(ExitCode::SUCCESS);
    }
    let committed = fs::read_to_string(&header)?;
    let Some(line) = first_difference(&committed, &made) else {
        return Ok(ExitCode::SUCCESS);
    };
    println!("include/nart/tokio.h differs from the bridge in line {}:", line + 1);
    println!("  committed: {}", committed.lines().nth(line).unwrap_or("(end of file)"));
    println!("  generated: {}", made.lines().nth(line).unwrap_or("(end of file)"));
    println!("To write it anew: cmake --build build/<preset> --target nart-header");
    Ok(ExitCode::FAILURE)
}

fn first_difference(a: &str, b: &str) -> Option<usize> {
    if a == b {
        return None;
    }
    let same = a.lines().zip(b.lines()).take_while(|(a, b)| a == b).count();
    Some(same)
}
