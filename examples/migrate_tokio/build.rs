// SPDX-License-Identifier: MIT OR Apache-2.0
//! Compiles the hot half, which stages 2 to 4 use.

fn main() {
    let include = std::env::var("DEP_NART_INCLUDE").expect("nart-tokio says where its headers are");
    println!("cargo:rerun-if-changed=c");
    cc::Build::new()
        .std("c11")
        .include(include)
        .files(["c/meter.c", "c/conn.c"])
        .compile("hot");
}
