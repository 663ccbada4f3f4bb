#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs nart-check over the bodies of a folder of this tree, those that this build compiles.

    tree.py NART-CHECK BUILD FOLDER [--except REGEX]
"""
import json
import os
import pathlib
import re
import sys


def main():
    check, build, folder, *more = sys.argv[1:]
    skipped = re.compile(more[1] if more else "(?!)")
    entries = json.loads(pathlib.Path(build, "compile_commands.json").read_text())
    files = {pathlib.Path(entry["directory"], entry["file"]) for entry in entries}
    files = sorted(f for f in files if f.is_relative_to(folder) and not skipped.search(str(f.relative_to(folder))))
    bodies = [f for f in files if "NART_BEGIN(" in f.read_text()]
    if not bodies:
        sys.exit(f"{folder}: no bodies")
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-B", check, "-p", build, *map(str, bodies)])


if __name__ == "__main__":
    main()
