#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs the model of the operation's word, and then with each of its orders weakened.

 1. Every scenario must hold on rust_bridge/src/word.rs as it is.
 2. Each order of that file, weakened in every way, and each decision split into a load and a store,
    must make at least one scenario fail. One that survives fails this test.

usage: check.py --cargo cargo --target-dir folder
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
WORD = HERE.parent.parent.parent / "rust_bridge" / "src" / "word.rs"
WEAKER = {"Acquire": ["Relaxed"], "Release": ["Relaxed"], "AcqRel": ["Acquire", "Release", "Relaxed"]}
SPLIT = ["publish_by_load_and_store", "detach_by_load_and_store"]


def build(options, mutant):
    """The program, for this mutant; "" for none."""
    env = dict(os.environ, NART_MUTANT=mutant, RUSTFLAGS="--cfg loom")
    manifest = HERE / "Cargo.toml"
    done = subprocess.run([options.cargo, "build", "--quiet", "--locked", "--manifest-path", manifest,
                           "--target-dir", options.target_dir], env=env)
    if done.returncode != 0:
        sys.exit(f"mutant {mutant or '(none)'} does not build")
    return pathlib.Path(options.target_dir) / "debug" / "nart-op-word"


def failing(program):
    """The first scenario that fails, or None; what the others said."""
    names = subprocess.run([program, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    said = ""
    for name in names.stdout.split():
        done = subprocess.run([program, name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True, timeout=300)
        said += done.stdout
        if done.returncode != 0:
            return name, said
    return None, said


def mutants():
    for place, m in enumerate(re.finditer(r"Ordering::(\w+)", WORD.read_text())):
        for weaker in WEAKER.get(m[1], []):
            line = WORD.read_text()[: m.start()].count("\n") + 1
            yield f"{place}:{weaker}", f"word.rs:{line} {m[1]} to {weaker}"
    for name in SPLIT:
        yield name, name


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--cargo", required=True)
    p.add_argument("--target-dir", required=True)
    options = p.parse_args()

    failed, said = failing(build(options, ""))
    print(said, end="")
    if failed:
        sys.exit(f"{failed} does not hold")
    survivors = 0
    for mutant, name in mutants():
        killer, _ = failing(build(options, mutant))
        print(f"{name}: {f'killed by {killer}' if killer else 'SURVIVES'}", flush=True)
        survivors += killer is None
    sys.exit(f"{survivors} mutants survive" if survivors else 0)


if __name__ == "__main__":
    main()
