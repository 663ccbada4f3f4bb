// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies the files of the bridge, mutated according to NART_MUTANT: "<file>:<place>:<order>" replaces the
//! order at the place-th `Ordering::` of the file, "<file>:<name>" is one of SPLIT.

use std::{env, fs, path::Path};

/// Decisions taken by a load and a store instead of one read-modify-write, and wrong ones.
const SPLIT: [(&str, &str, &str); 7] = [
    (
        "push_by_load_and_store",
        ".compare_exchange_weak(seen, next, Ordering::Release, Ordering::Relaxed)",
        ".compare_exchange_weak(ptr::without_provenance_mut(2), next, Ordering::Relaxed, \
         Ordering::Relaxed).or_else(|_| { self.0.store(next, Ordering::Release); \
         Ok::<*mut T, *mut T>(seen) })",
    ),
    (
        "take_by_load_and_store",
        "Self::item(self.0.swap(ptr::null_mut(), Ordering::Acquire))",
        "let list = self.0.load(Ordering::Acquire); \
         self.0.store(ptr::null_mut(), Ordering::Relaxed); Self::item(list)",
    ),
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

fn mutate(text: &str, mutant: &str) -> String {
    if let Some((place, order)) = mutant.split_once(':') {
        return weaken(text, place.parse().expect("a number"), order);
    }
    let (_, from, to) = SPLIT
        .iter()
        .find(|(name, ..)| *name == mutant)
        .unwrap_or_else(|| panic!("no such mutant: {mutant}"));
    let found = text.matches(from).count();
    assert_eq!(found, 1, "{mutant}: its text has changed");
    text.replace(from, to)
}

fn main() {
    println!("cargo:rustc-cfg=loom"); // for this crate only: loom itself does not need it
    println!("cargo:rerun-if-env-changed=NART_MUTANT");
    let mutant = env::var("NART_MUTANT").unwrap_or_default();
    let out = env::var("OUT_DIR").expect("cargo sets OUT_DIR");
    for name in ["state.rs", "spawn_queue.rs"] {
        let file = Path::new("../../../rust_bridge/src").join(name);
        println!("cargo:rerun-if-changed={}", file.display());
        let mut text = fs::read_to_string(&file).expect(name);
        if let Some(mutant) = mutant.strip_prefix(&format!("{name}:")) {
            text = mutate(&text, mutant);
        }
        let text = text.replace("//!", "//"); // it is included, not at the start of a module
        fs::write(Path::new(&out).join(name), text).expect("writes the copy");
    }
}
