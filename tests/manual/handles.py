#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares docs/book/src/handles.md, the table of handles and their functions, with the headers.

    handles.py           every rule below
    handles.py --faults  each broken rule is detected

Rules
  1. Every function that takes a handle is in the column of that handle. A form `_here` is, if the other one is; it
     exists if that takes a runtime.
  2. Every function that the table names exists, and takes the handle unless it is one of nart/socket.h.
  3. Every cell has functions or one note, and every note is used.
"""
import argparse
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
PUBLIC = re.compile(r"^(?:NART_API|static inline)\s[^;{}=]*?(?P<name>nart_[a-z]\w*)"
                    r"\((?P<args>[^;{}]*)\)(?=;|\n\{)", re.MULTILINE)


def functions(texts):
    """All functions of the headers, with their arguments."""
    all_of = {}
    for text in texts:
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        all_of.update((m["name"], " ".join(m["args"].split())) for m in PUBLIC.finditer(text))
    return all_of


def takes(args, handle):
    return re.search(rf"\b{handle} \*", args) is not None


def table(page):
    """The handles, and the rows as (function, cells)."""
    rows = [[cell.strip() for cell in line.strip("|\n").split("|")]
            for line in page.splitlines() if line.startswith("|")]
    if len(rows) < 3:
        return [], []
    return [cell.strip("`") for cell in rows[0][1:]], [(row[0], row[1:]) for row in rows[2:]]


def check(page, known):
    handles, rows = table(page)
    notes = set(re.findall(r"^(\d+)\. ", page, re.MULTILINE))
    used, found = set(), []
    named = {handle: set() for handle in handles}
    for row, cells in rows:
        if len(cells) != len(handles):
            found.append(f"{row}: {len(cells)} cells for {len(handles)} handles")
            continue
        for handle, cell in zip(handles, cells):
            names = re.findall(r"`(\w+)\(\)`", cell)
            suffix = re.match(r"`(_\w+)\(\)`", row)
            if re.search(r"\byes\b", cell) and suffix:
                names.append(handle + suffix[1])
            if not names and cell not in notes:
                found.append(f"{row}: {handle} has neither a function nor a note")
            if not names:
                used.add(cell)
            for name in names:
                if name not in known:
                    found.append(f"{row}: there is no {name}()")
                elif not name.startswith("nart_sock_") and not takes(known[name], handle):
                    found.append(f"{row}: {name}() takes no {handle}")
            named[handle].update(names)
    found += [f"note {n} is not used" for n in sorted(notes - used, key=int)]
    for name, args in known.items():
        base = name.removesuffix("_here")
        if "nart_rt *rt" in args and name + "_here" not in known and any(takes(args, h) for h in handles):
            found.append(f"{name}() has no form for bodies")
        found += [f"{name}() is not in the column of {handle}" for handle in handles
                  if takes(args, handle) and base not in named[handle]]
    return found


def headers():
    return [path.read_text() for path in sorted((ROOT / "include/nart").glob("*.h"))
            if path.name != "tokio.h"]


def faults(page, known):
    """Breaks each rule; the faults that were not found."""
    def without(name):
        return {k: v for k, v in known.items() if k != name}

    broken = {
        "a function that is not in the table": (page, dict(known, nart_udp_twist="nart_udp *u")),
        "a function that does not exist": (page, without("nart_unix_peek")),
        "a function of another handle": (page.replace("`nart_tcp_listen()`", "`nart_unix_listen()`"), known),
        "no form for bodies": (page, without("nart_unix_listener_adopt_here")),
        "an empty cell": (page.replace("| 12 |", "|  |", 1), known),
        "a note that does not exist": (page.replace("| 12 |", "| 99 |", 1), known),
        "a note that is not used": (page + "\n98. Nothing.\n", known),
        "a missing cell": (page.replace("| 12 |", "|", 1), known),
    }
    return [name for name, (text, changed) in broken.items() if not check(text, changed)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", action="store_true")
    args = parser.parse_args()
    page, known = (ROOT / "docs/book/src/handles.md").read_text(), functions(headers())
    if not table(page)[1]:
        sys.exit("docs/book/src/handles.md has no table")
    found = [f"not found: {f}" for f in faults(page, known)] if args.faults else check(page, known)
    print("\n".join(found))
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
