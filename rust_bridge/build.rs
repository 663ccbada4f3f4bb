// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links the C library.
//!
//! - Feature `bundled` (the default): compiles `c_src`, from the list in `c_src/CMakeLists.txt`.
//! - Without it, and with `NART_LIB_DIR` set: links `libnart` from that folder.
//! - Without both, or with `NART_BUNDLED=0`, which CMake sets: links nothing. The program has to link
//!   `libnart`, as CMake does.
//!
//! Build scripts of crates that depend on this one get the folder of the headers as DEP_NART_INCLUDE.

fn main() {
    println!("cargo:rerun-if-env-changed=NART_LIB_DIR");
    let root = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
    println!("cargo:include={root}/include");
    #[cfg(feature = "bundled")]
    {
        println!("cargo:rerun-if-env-changed=NART_BUNDLED");
        if std::env::var("NART_BUNDLED").as_deref() != Ok("0") {
            bundled::compile();
        }
    }
    #[cfg(not(feature = "bundled"))]
    if let Ok(dir) = std::env::var("NART_LIB_DIR") {
        println!("cargo:rustc-link-search=native={dir}");
        println!("cargo:rustc-link-lib=nart");
    }
}

#[cfg(feature = "bundled")]
mod bundled {
    use std::{env, fs, path::Path};

    pub fn compile() {
        let root = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR");
        let c_src = Path::new(&root).join("c_src");
        let include = Path::new(&root).join("include");
        println!("cargo:rerun-if-changed={}", c_src.display());
        println!("cargo:rerun-if-changed={}", include.display());

        cc::Build::new()
            .std("c11")
            .define("_GNU_SOURCE", None)
            .define("_TIME_BITS", "64")
            .define("_FILE_OFFSET_BITS", "64")
            .include(&c_src)
            .include(&include)
            .files(sources(&c_src))
            .compile("nart");
    }

    /// The files between `set(sources` and `)` in c_src/CMakeLists.txt, the only list of sources.
    fn sources(c_src: &Path) -> Vec<std::path::PathBuf> {
        let list = fs::read_to_string(c_src.join("CMakeLists.txt"))
            .expect("c_src/CMakeLists.txt can be read");
        let (_, rest) = list
            .split_once("set(sources")
            .expect("`set(sources` in c_src/CMakeLists.txt");
        let (files, _) = rest
            .split_once(')')
            .expect("`)` after the sources in c_src/CMakeLists.txt");
        files
            .lines()
            .map(|line| line.split('#').next().unwrap_or("").trim())
            .filter(|line| !line.is_empty())
            .map(|file| c_src.join(file))
            .collect()
    }
}
