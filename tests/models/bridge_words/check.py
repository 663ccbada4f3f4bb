#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs the models of the bridge's words, and then with each of their orders weakened.

 1. Every scenario must pass on the unmodified files of rust_bridge/src.
 2. With --mutants: each order of these files, weakened in every way, and each decision split into a load
    and a store, must make at least one scenario fail. One that survives fails this test. If nothing has
    changed since that passed, a part is run: see ../ledger.py.

usage: check.py --cargo cargo --target-dir folder [--mutants]
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.append(str(HERE.parent))
import ledger # pylint: disable=wrong-import-position

FILES = [ledger.ROOT / "rust_bridge" / "src" / name 
         for name in ("state.rs", "spawn_queue.rs", "logs/ring.rs")]
WEAKER = {"Acquire": ["Relaxed"], "Release": ["Relaxed"], "AcqRel": ["Acquire", "Release", "Relaxed"]}
SPLIT = {
    "state.rs": ["publish_by_load_and_store", "force_by_load_and_store", "detach_by_load_and_store",
                 "publish_over_a_shutdown", "handle_frees_at_a_shutdown"],
    "spawn_queue.rs": ["push_by_load_and_store", "take_by_load_and_store"],
    "ring.rs": ["number_by_load_and_store", "lost_by_load_and_store", "carry_by_load_and_store",
                "push_into_a_place_that_is_full", "push_is_published_before_its_line",
                "pop_frees_the_place_before_the_copy", "pop_does_not_look_at_the_turn"],
}


def build(options, mutant):
    """Builds the program with this mutant; "" for none."""
    env = dict(os.environ, NART_MUTANT=mutant)
    done = subprocess.run([options.cargo, "build", "--quiet", "--locked", "--release",
                           "--manifest-path", HERE / "Cargo.toml",
                           "--target-dir", options.target_dir], env=env)
    if done.returncode != 0:
        sys.exit(f"mutant {mutant or '(none)'} does not build")
    return pathlib.Path(options.target_dir) / "release" / "nart-bridge-words"


def failing(program):
    """The first scenario that fails, or None; and the output of the others."""
    names = subprocess.run([program, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    said = ""
    for name in names.stdout.split():
        with tempfile.TemporaryFile("w+") as out:
            good = ledger.holds([program, name], stdout=out, stderr=subprocess.DEVNULL, timeout=300)
            out.seek(0)
            said += out.read()
        if not good:
            return name, said
    return None, said


def mutants():
    for file in FILES:
        text = file.read_text()
        for place, m in enumerate(re.finditer(r"Ordering::(\w+)", text)):
            for weaker in WEAKER.get(m[1], []):
                line = text[: m.start()].count("\n") + 1
                yield f"{file.name}:{place}:{weaker}", f"{file.name}:{line} {m[1]} to {weaker}"
        for name in SPLIT[file.name]:
            yield f"{file.name}:{name}", name


def digest(options):
    files = [*FILES, ledger.MODELS / "ledger.py", *ledger.rust_files(HERE)]
    return ledger.digest(ledger.rust_compilers(options.cargo), files)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cargo", required=True)
    p.add_argument("--target-dir", required=True)
    p.add_argument("--mutants", action="store_true")
    options = p.parse_args()
    ledger.without_settings()

    failed, said = failing(build(options, ""))
    print(said, end="")
    if failed:
        sys.exit(f"{failed} does not hold")
    if not options.mutants:
        return
    proof = ledger.Proof("mutants.bridge_words", lambda: digest(options), list(mutants()))
    for mutant, name in proof.today:
        killer, _ = failing(build(options, mutant))
        proof.says(f"{name}: {f'killed by {killer}' if killer else 'SURVIVES'}", killer is not None)
    sys.exit(0 if proof.ends() else 1)


if __name__ == "__main__":
    main()
