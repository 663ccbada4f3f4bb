#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs nart-check, its command, over a file and compares the findings with the comments there.

    check.py FILE NART-CHECK [ARGUMENT...]
"""
import re
import subprocess
import sys


def expected(text):
    for number, line in enumerate(text.splitlines(), 1):
        mark = re.search(r"/\* (?:lost: (?P<names>[\w ]+)|(?P<what>switch|break|return|repeated|fiber)) \*/", line)
        if mark and mark["names"]:
            yield from ((number, f"`{name}`") for name in mark["names"].split())
        elif mark:
            yield number, mark["what"]


def found(said, text):
    for line in said.splitlines():
        at, what = re.fullmatch(r".*?:(\d+): (.*)", line).groups()
        lost = re.match(r"(`(\w+)`) is lost by the await at line (\d+)", what)
        if lost and not re.search(rf"\b{lost[2]}\b", text.splitlines()[int(at) - 1]):
            yield int(at), f"{lost[1]} is not declared here, but"
        yield (int(lost[3]), lost[1]) if lost else (int(at), re.search("switch|break|return|repeated|fiber", what)[0])


def main():
    file, *command = sys.argv[1:]
    with open(file, encoding="utf-8") as source:
        text = source.read()
    done = subprocess.run([sys.executable, "-B", *command], stdout=subprocess.PIPE, text=True, check=False)
    want, have = set(expected(text)), set(found(done.stdout, text))
    for line, what in sorted(want - have):
        print(f"{file}:{line}: {what} is not found")
    for line, what in sorted(have - want):
        print(f"{file}:{line}: {what} is found")
    return int(want != have or not want or done.returncode != 1)


if __name__ == "__main__":
    sys.exit(main())
