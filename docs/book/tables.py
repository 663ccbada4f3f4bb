#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks the tables from libuv, tokio and nexus-async-rt.

    tables.py --include DIR --uv UV.H    the pages; without UV.H libuv's names are not compared
    tables.py --faults                   each broken rule is detected

Rules
  1. A name nart_... or NART_... of these pages is in the headers.
  2. Every function that uv.h exports is in the table from libuv, and no other.
  3. A table has the same number of cells in each row.
"""
import argparse
import pathlib
import re
import sys

PAGES = pathlib.Path(__file__).resolve().parent / "src"
OURS = re.compile(r"\b(?:nart_[a-z0-9_]+|NART_[A-Z0-9_]+)\b")
UV = re.compile(r"\buv_[a-z0-9_]+\b")
EXPORTED = re.compile(r"UV_EXTERN[^;]*?\b(uv_[a-z0-9_]+)\s*\(")


def names(page, text, headers):
    return [f"{page}: {n} is in no header" for n in sorted(set(OURS.findall(text)) - headers)]


def libuv(page, text, exported):
    named = set(UV.findall(text))
    return ([f"{page}: {n} is missing" for n in sorted(exported - named)] +
            [f"{page}: libuv does not export {n}" for n in sorted(named - exported)])


def rows(page, text):
    found, cells = [], None
    for number, line in enumerate(text.splitlines(), 1):
        now = line.count("|") if line.startswith("|") else None
        if now and cells and now != cells:
            found.append(f"{page}:{number}: a row with another number of cells")
        cells = now
    return found


def check(pages, headers, exported):
    found = []
    for page, text in pages.items():
        found += names(page, text, headers) + rows(page, text)
        if page == "from-libuv.md" and exported is not None:
            found += libuv(page, text, exported)
    return found


def faults():
    good = "| a | b |\n|---|---|\n| `uv_run` | `nart_rt_run()` |\n"
    of = lambda text: check({"from-libuv.md": text}, {"nart_rt_run"}, {"uv_run"})
    assert of(good) == [], of(good)
    for bad in (good.replace("nart_rt_run", "nart_run"), good.replace("uv_run", "uv_walk"),
                good.replace("`uv_run`", ""), good + "| c |\n"):
        if not of(bad):
            sys.exit(f"not detected:\n{bad}")


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--include", type=pathlib.Path)
    p.add_argument("--uv", type=pathlib.Path)
    p.add_argument("--faults", action="store_true")
    args = p.parse_args()
    if args.faults:
        faults()
        return
    headers = {n for h in args.include.rglob("*.h") for n in OURS.findall(h.read_text())}
    exported = set(EXPORTED.findall(args.uv.read_text())) if args.uv else None
    pages = {f.name: f.read_text() for f in PAGES.glob("from-*.md")}
    found = check(pages, headers, exported)
    if found or not pages:
        sys.exit("\n".join(found) or "no page")


if __name__ == "__main__":
    main()
