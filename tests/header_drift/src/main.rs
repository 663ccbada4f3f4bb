// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checks that `include/nart/tokio.h` is what cbindgen generates from the bridge. With `--write`, writes it.

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

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
    let ffi = root.join("rust_bridge/src/ffi");
    let made = for_c(&String::from_utf8(made)?, |function| {
        title(&ffi, function).unwrap_or_default()
    });

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
    println!("To update it: cmake --build build/<preset> --target nart-header");
    Ok(ExitCode::FAILURE)
}

/// The subject of the file that defines a function: the begin of its first sentence.
fn title(ffi: &Path, function: &str) -> Option<String> {
    let files = fs::read_dir(ffi).ok()?;
    let texts = files.filter_map(|file| fs::read_to_string(file.ok()?.path()).ok());
    let text = texts
        .into_iter()
        .find(|text| text.contains(&format!("fn {function}(")))?;
    let doc = text.lines().find_map(|line| line.strip_prefix("//! "))?;
    let title = doc.split([':', '.']).next()?;
    let (first, rest) = title.split_at(1);
    let word = rest.split(' ').next()?;
    let is_word = !word.is_empty() && word.chars().all(char::is_lowercase); // not "C" or "HTTP"
    Some(
        if is_word {
            first.to_lowercase()
        } else {
            first.to_owned()
        } + rest,
    )
}

/// The name of the function that a line declares.
fn declared(line: &str) -> Option<&str> {
    let (before, _) = line.split_once('(')?;
    let name = before.rsplit([' ', '*']).next()?;
    (name.starts_with("nart_") && !line.starts_with([' ', '/'])).then_some(name)
}

/// Puts a title before the first function of each subject.
fn with_titles(lines: Vec<String>, title: impl Fn(&str) -> String) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    let mut last = String::new();
    let mut begin = 0; // of the block that ends with the next empty line
    for line in lines {
        if line.is_empty() {
            begin = out.len() + 1;
        }
        let title = declared(&line).map(&title).unwrap_or_default();
        out.push(line);
        if !title.is_empty() && title != last {
            out.insert(
                begin,
                format!("/* ---- {title} {:-<1$} */\n", "", 88 - title.len()),
            );
            last = title;
        }
    }
    out
}

/// What cbindgen has no option for: comments of one line are on one line, what only callers in Rust need
/// ("Safety") is omitted, NART_HTTP and NART_TLS are 0 or 1 instead of defined or undefined, and each subject has a
/// title.
fn for_c(made: &str, title: impl Fn(&str) -> String) -> String {
    let made = made
        .replace("#if defined(NART_HTTP)", "#if NART_HTTP")
        .replace("#if defined(NART_TLS)", "#if NART_TLS");
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
                let text = out[n - 1].trim().trim_start_matches("* ").to_owned();
                let joined = format!("{} {text} */", out[n - 2]);
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
    with_titles(out, title).join("\n") + "\n"
}

fn first_difference(a: &str, b: &str) -> Option<usize> {
    if a == b {
        return None;
    }
    let same = a.lines().zip(b.lines()).take_while(|(a, b)| a == b).count();
    Some(same)
}
