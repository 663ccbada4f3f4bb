#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs every row of the given programs briefly and checks the format of the output, not the figures.
Arguments: those of run.py."""

import json
import math
import subprocess
import sys
from pathlib import Path


def listed(arguments):
    """The rows that the programs among the arguments list."""
    rows = set()
    for argument in arguments:
        if argument.startswith("--program="):
            program = argument.split("=", 1)[1]
            rows |= set(subprocess.check_output([program, "--list"], text=True).split())
    return rows


def check(entry):
    assert set(entry) == {"row", "nart", "unit", "peers", "ratio"}, entry
    assert math.isfinite(entry["nart"]) and entry["nart"] >= 0, entry
    assert entry["unit"] in ("ns", "us", "x", "B", "allocations"), entry
    assert entry["peers"].keys() == entry["ratio"].keys(), entry


def main():
    arguments = sys.argv[1:]
    out = next(Path(a.split("=", 1)[1]) for a in arguments if a.startswith("--out="))
    done = subprocess.run([sys.executable, "run.py", "--quick", *arguments],
                          stdout=subprocess.PIPE, text=True, check=True)
    print(done.stdout)
    results = json.loads((out / "bench.json").read_text())
    for entry in results:
        check(entry)
    skipped = {line[2:].split(":")[0] for line in done.stdout.splitlines()
               if line.startswith("- ") and "needs 2 processors" in line}
    missing = listed(arguments) - {entry["row"] for entry in results} - skipped
    assert not missing, f"no figure for {sorted(missing)}"
    for name in ("bench.svg", "readme.svg"):
        assert (out / name).read_text().rstrip().endswith("</svg>"), name


if __name__ == "__main__":
    main()
