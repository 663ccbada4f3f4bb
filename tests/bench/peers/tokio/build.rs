/* SPDX-License-Identifier: MIT OR Apache-2.0 */
//! Compiles the code that answers requests, for bin/hello_tokio.rs, as the C programs of the benchmark are.

use std::env;
use std::path::Path;
use std::process::Command;

fn main() {
    let out = env::var("OUT_DIR").expect("OUT_DIR");
    let source = Path::new("../../../../examples/servers/page.c");
    let (object, archive) = (format!("{out}/page.o"), format!("{out}/libpage.a"));
    let run = |program: &str, args: &[&str]| {
        assert!(Command::new(program).args(args).status().expect(program).success(), "{program}");
    };
    run(
        "cc",
        &[
            "-O3",
            "-DNDEBUG",
            "-std=c11",
            "-D_GNU_SOURCE",
            "-c",
            source.to_str().expect("a path"),
            "-o",
            &object,
        ],
    );
    run("ar", &["crs", &archive, &object]);
    println!("cargo::rustc-link-search=native={out}");
    println!("cargo::rerun-if-changed={}", source.display());
}
