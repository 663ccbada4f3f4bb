// SPDX-License-Identifier: MIT OR Apache-2.0
//! Copies the files of the bridge, mutated according to NART_MUTANT: "<file>:<place>:<order>" replaces the
//! order at the place-th `Ordering::` of the file, "<file>:<name>" is one of SPLIT.

use std::{env, fs, path::Path};

/// Decisions taken by a load and a store instead of one read-modify-write, and wrong ones.
const SPLIT: [(&str, &str, &str); 14] = [
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
    (
        "number_by_load_and_store",
        "match self.tail.0.compare_exchange_weak(
                    n,
                    n.wrapping_add(1),
                    Ordering::Relaxed,
                    Ordering::Relaxed,
                ) {",
        "self.tail.0.store(n.wrapping_add(1), Ordering::Relaxed);
         match Ok::<usize, usize>(n) {",
    ),
    (
        "lost_by_load_and_store",
        "self.lost.fetch_add(1, Ordering::Relaxed);",
        "let lost = self.lost.load(Ordering::Relaxed); self.lost.store(lost + 1, Ordering::Relaxed);",
    ),
    (
        "carry_by_load_and_store",
        "line.lost = self.lost.swap(0, Ordering::Relaxed);",
        "line.lost = self.lost.load(Ordering::Relaxed); self.lost.store(0, Ordering::Relaxed);",
    ),
    (
        "push_into_a_place_that_is_full",
        "if turn == n {",
        "if turn == n || turn.wrapping_add(self.places.len() - 1) == n {",
    ),
    (
        "push_is_published_before_its_line",
        "place.line.with_mut(|p| unsafe { *p = *line });
        place.turn.store(n.wrapping_add(1), Ordering::Release);",
        "place.turn.store(n.wrapping_add(1), Ordering::Release);
         place.line.with_mut(|p| unsafe { *p = *line });",
    ),
    (
        "pop_frees_the_place_before_the_copy",
        "place.line.with(|p| *to = unsafe { *p });
        let next = n.wrapping_add(self.places.len());
        place.turn.store(next, Ordering::Release);",
        "let next = n.wrapping_add(self.places.len());
         place.turn.store(next, Ordering::Release);
         place.line.with(|p| *to = unsafe { *p });",
    ),
    (
        "pop_does_not_look_at_the_turn",
        "if place.turn.load(Ordering::Acquire) != n.wrapping_add(1) {",
        "if self.tail.0.load(Ordering::Acquire) == n {",
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
    for path in ["state.rs", "spawn_queue.rs", "logs/ring.rs"] {
        let file = Path::new("../../../rust_bridge/src").join(path);
        let name = path.rsplit('/').next().expect("the last part");
        println!("cargo:rerun-if-changed={}", file.display());
        let mut text = fs::read_to_string(&file).expect(name);
        if let Some(mutant) = mutant.strip_prefix(&format!("{name}:")) {
            text = mutate(&text, mutant);
        }
        let text = text.replace("//!", "//"); // it is included, not at the start of a module
        let text = text.split("#[cfg(test)]").next().expect("a part"); // without its unit tests
        fs::write(Path::new(&out).join(name), text).expect("writes the copy");
    }
}
