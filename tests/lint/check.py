#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs c_src/cmake/nart_lint.py over bodies.c and compares its findings with the comments there."""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "c_src" / "cmake"))
sys.dont_write_bytecode = True
import nart_lint  # noqa: E402


def expected(text):
    for number, line in enumerate(text.splitlines(), 1):
        mark = re.search(r"/\* (lost: (?P<names>[\w ]+)|switch|break) \*/", line)
        if mark and mark["names"]:
            yield from ((number, f"`{name}`") for name in mark["names"].split())
        elif mark:
            yield number, mark[1]


def found(text):
    for line in nart_lint.findings("", text):
        number, what = re.match(r":(\d+): .*?(`\w+`|switch|break)", line).groups()
        yield int(number), what


def main():
    text = (HERE / "bodies.c").read_text()
    want, have = set(expected(text)), set(found(text))
    for line, what in sorted(want - have):
        print(f"bodies.c:{line}: {what} is not found")
    for line, what in sorted(have - want):
        print(f"bodies.c:{line}: {what} is found")
    return int(want != have or not want)


if __name__ == "__main__":
    sys.exit(main())
