// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies the bridge's state.rs, mutated according to NART_MUTANT: "<place>:<order>" replaces the order
//! at the place-th `Ordering::` of the file, "<name>" is one of SPLIT.

use std::{env, fs, path::Path};

/// Decisions taken by a load and a store instead of one read-modify-write, and wrong ones.
const SPLIT: [(&str, &str, &str); 5] = [
    (
        "publish_by_load_and_store",
        ".fetch_update(Ordering::AcqRel, Ordering::Relaxed, next)",
        ".fetch_update(Ordering::AcqRel, Ordering::Relaxed, |_| None).or_else(|seen| \
         next(seen).map(|n| { self.0.store(n, Ordering::Release); seen }).ok_or(seen))",
    ),
    (
        "force_by_load_and_store",
        ".fetch_update(Ordering::Acquire, Ordering::Relaxed, next)",
        ".fetch_update(Ordering::Acquire, Ordering::Relaxed, |_| None).or_else(|seen| \
         next(seen).map(|n| { self.0.store(n, Ordering::Release); seen }).ok_or(seen))",
    ),
    (
        "detach_by_load_and_store",
        "let old = self.0.swap(DETACHED, Ordering::AcqRel);",
        "let old = self.0.load(Ordering::Acquire); self.0.store(DETACHED, Ordering::Release);",
    ),
    (
        "publish_over_a_shutdown",
        "if seen == FORCED { ENDED } else { DONE }",
        "{ let _ = seen; DONE }",
    ),
    (
        "handle_frees_at_a_shutdown",
        "DONE | ENDED)",
        "DONE | ENDED | FORCED)",
    ),
];

fn weaken(text: &str, place: usize, order: &str) -> String {
    let (at, found) = text
        .match_indices("Ordering::")
        .nth(place)
        .expect("a place with an order");
    let end = at + found.len();
    let old = text[end..]
        .find(|c: char| !c.is_alphanumeric())
        .unwrap_or(0);
    format!("{}{order}{}", &text[..end], &text[end + old..])
}

fn main() {
    println!("cargo:rustc-cfg=loom"); // for this crate only: loom itself does not need it
    let state = Path::new("../../../rust_bridge/src/state.rs");
    println!("cargo:rerun-if-changed={}", state.display());
    println!("cargo:rerun-if-env-changed=NART_MUTANT");
    let text = fs::read_to_string(state).expect("state.rs");
    let mutant = env::var("NART_MUTANT").unwrap_or_default();
    let text = if let Some((place, order)) = mutant.split_once(':') {
        weaken(&text, place.parse().expect("a number"), order)
    } else if let Some((_, from, to)) = SPLIT.iter().find(|(name, ..)| *name == mutant) {
        assert_eq!(
            text.matches(from).count(),
            1,
            "{mutant}: its text has changed"
        );
        text.replace(from, to)
    } else {
        assert!(mutant.is_empty(), "no such mutant: {mutant}");
        text
    };
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    let text = text.replace("//!", "//"); // it is included, not at the start of a module
    fs::write(Path::new(&out).join("state.rs"), text).expect("writes the copy");
}
