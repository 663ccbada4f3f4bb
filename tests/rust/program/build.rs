// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compiles the C file, as docs/building.md says.

fn main() {
    println!("cargo:rerun-if-changed=src/hot.c");
    let http = if cfg!(feature = "http") { "1" } else { "0" };
    cc::Build::new()
        .file("src/hot.c")
        .include(std::env::var("DEP_NART_INCLUDE").unwrap())
        .define("NART_HTTP", http)
        .std("c11")
        .warnings_into_errors(true)
        .compile("hot");
}
