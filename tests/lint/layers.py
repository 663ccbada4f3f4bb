#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares the layers in docs/book/src/design.md with the includes and calls of the source.

    layers.py LIBRARY            every rule below; LIBRARY is the static library, NM in the environment
    layers.py LIBRARY --faults   each broken rule is detected

The page: the table "room | contents | may include", the top layer first, and the table "declared in |
defined in | names | why" of the functions that a room uses although they are defined above it.

Rules
  1. A file of c_src includes files of its own room, and of rooms that its line allows.
  2. A line allows only rooms below it, and only rooms that it uses; the rooms are the folders of c_src.
  3. A symbol that an object file needs is defined in its own room or in one that it may reach by the
     first table, or is named in the second. What the second names is declared and defined where it
     says, and is needed.
  4. Public headers include only public headers. Nothing but the bridge includes nart/tokio.h.
"""
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
C_SRC, PUBLIC = ROOT / "c_src", ROOT / "include" / "nart"
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.MULTILINE)
SYMBOL = re.compile(r"^.*:(\w+\.c)[^:]*:\s*[0-9a-f]*\s+(\w)\s+(nart_\w+)$", re.MULTILINE)


def room_of(path):
    folder = path.parent.relative_to(C_SRC).as_posix()
    return "sys" if folder == "." else folder


def tables(page):
    """The rooms in their order, with what each may include; symbol -> (declared in, defined in)."""
    rooms, upward = {}, {}
    for line in page.splitlines():
        cells = [re.findall(r"`([^`]+)`", cell) for cell in line.strip("|").split("|")]
        if len(cells) == 3 and len(cells[0]) == 1:
            rooms[cells[0][0].rstrip("/")] = [room.rstrip("/") for room in cells[2]]
        elif len(cells) == 4 and len(cells[0]) == len(cells[1]) == 1:
            upward.update({name: (cells[0][0], cells[1][0]) for name in cells[2]})
    return rooms, upward


def reach(rooms, room):
    found, todo = set(), [room]
    while todo:
        room = todo.pop()
        if room not in found:
            found.add(room)
            todo += rooms.get(room, ())
    return found


def included():
    """(file, what it includes, its room or None: a public header) of c_src and of the public headers."""
    for path in sorted([*C_SRC.rglob("*.[ch]"), *PUBLIC.rglob("*.h")]):
        for mark, name in INCLUDE.findall(path.read_text()):
            target = (path.parent / name).resolve()
            if mark == '"' and C_SRC in target.parents:
                yield path, name, room_of(target)
            elif mark == '"' or name.startswith("nart/"):
                public = target if mark == '"' else ROOT / "include" / name
                yield path, "nart/" + public.name if public.is_file() else name, None


def needed(library):
    """(object's source, symbol, source that defines it)."""
    text = subprocess.run([os.environ.get("NM", "nm"), "-A", library], check=True, text=True,
                          capture_output=True).stdout
    symbols = SYMBOL.findall(text)
    defined = {name: file for file, kind, name in symbols if kind.isupper() and kind != "U"}
    return sorted({(file, name, defined[name]) for file, kind, name in symbols
                   if kind == "U" and name in defined})


def faults_of(page, includes, symbols):
    rooms, upward = tables(page)
    sources = {path.name: path for path in C_SRC.rglob("*.c")}
    order, used, named = list(rooms), set(), set()

    if set(rooms) != {room_of(path) for path in C_SRC.rglob("*.[ch]")}:
        yield "the rooms of the page are not the folders of c_src"
    if len(sources) != len(list(C_SRC.rglob("*.c"))):
        yield "two files of c_src have one name: their objects cannot be told apart"
    for path, name, target in includes:
        source = room_of(path) if C_SRC in path.parents else None
        if name == "nart/tokio.h" or (source is None and target is not None):
            yield f"{path.relative_to(ROOT)} includes {name}"
        elif source and target and target != source:
            used.add((source, target))
            if target not in rooms.get(source, ()):
                yield f"{path.relative_to(ROOT)} includes {name}: {source} may not include {target}"
    for room, allowed in rooms.items():
        for other in allowed:
            if other not in rooms or order.index(other) <= order.index(room):
                yield f"{room} may include {other}, which is not below it"
            elif (room, other) not in used:
                yield f"{room} may include {other}, and does not"
    for file, name, definer in symbols:
        source, target = room_of(sources[file]), room_of(sources[definer])
        if target in reach(rooms, source):
            continue
        named.add(name)
        where = f"{target}/{definer}"
        if name not in upward:
            yield f"{source}/{file} needs {name}, which is defined above it, in {where}"
        elif upward[name][1] != where or name not in (C_SRC / upward[name][0]).read_text():
            yield f"{name} is not declared and defined where the page says"
    for name in upward:
        if name not in named:
            yield f"{name} is named as an exception, and is none"


def undetected(page, includes, symbols):
    hub, wait = C_SRC / "core" / "hub.h", C_SRC / "wait" / "wait.h"
    broken = {
        "an include upward": (page, includes + [(wait, "../core/hub.h", "core")], symbols),
        "a header that leaves include/": (page, includes + [(PUBLIC / "rt.h", hub.name, "core")], symbols),
        "the bridge's header": (page, includes + [(hub, "nart/tokio.h", None)], symbols),
        "a line that allows a room above": (
            page.replace("bodies, other drivers | |", "bodies, other drivers | `core/` |"),
            includes + [(wait, "../core/hub.h", "core")], symbols),
        "an arrow without use": (page.replace("| `sys` |\n", "| `sys` |\n| `nowhere/` | | `sys` |\n", 1),
                                 includes, symbols),
        "a call upward": (page, includes, symbols + [("op.c", "nart_rt_run", "loop.c")]),
        "an exception without use": (page.replace("`nart__ready_slow`", "`nart__ready_slow` `nart__x`"),
                                     includes, symbols),
        "an exception that is not named": (page.replace("`nart__ready_slow`", ""), includes, symbols),
    }
    return [f"{what}: is not found" for what, case in broken.items() if not list(faults_of(*case))]


def main():
    page = (ROOT / "docs/book/src/design.md").read_text()
    page = page[page.index("\n## Layers\n"):].split("\n## ")[1]
    includes, symbols = list(included()), needed(sys.argv[1])
    if not includes or not symbols or not all(tables(page)):
        sys.exit("nothing was compared")
    check = undetected if sys.argv[2:] == ["--faults"] else faults_of
    faults = list(check(page, includes, symbols))
    print(*faults, sep="\n", end="\n" if faults else "")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
