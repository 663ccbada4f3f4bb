#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks the reference that docs/reference/pages.py writes.

    check.py write --out DIR       writes it, for the checks below
    check.py symbols --out DIR     every public symbol has its place on the page of its header; every function, every
                                   type and every macro with arguments has a manual page
    check.py links --out DIR       links, anchors and references between manual pages resolve
    check.py internal --out DIR    no internal name appears, except the type struct nart__task of nart/driver.h
    check.py manual --out DIR      mandoc has no warning
    check.py sample                the pages of sample.h are sample.md and sample.3
    check.py refused               a header with a symbol, field or constant that is not documented is refused
"""
import argparse
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FUNCTION = re.compile(r"^(?:NART_API|static inline)\s[^;{}=]*?(nart_[a-z]\w*)\([^;{}]*\)(?=;|\n\{)", re.MULTILINE)
MACRO = re.compile(r"^#define ((?:NART|nart)_(?!_)\w+)(?:(\()|[ \t]+\S)", re.MULTILINE)
TYPE = re.compile(r"^(?:typedef [^;{}]*?\(?\*?(nart_[a-z]\w*)\)?(?:\([^;]*\)|\[\w+\])?;|\} (nart_[a-z]\w*);)",
                  re.MULTILINE)
ENUM = re.compile(r"enum (?:nart_\w+ )?\{(.*?)\}", re.DOTALL)
BY_THE_BUILD = {"NART_HTTP", "NART_TLS"}  # defined by the build, which the introduction of tokio.h describes


def pages(args, include, out):
    return subprocess.run([sys.executable, "-B", ROOT / "docs/reference/pages.py", "--include", include, "--out", out,
                           "--doxygen", args.doxygen], stderr=subprocess.PIPE, text=True)


def write(args):
    done = pages(args, ROOT / "include", args.out)
    return [done.stderr] if done.returncode else []


def public(text):
    """The public names of a header, each with whether it has a manual page."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    names = {m[1]: True for m in FUNCTION.finditer(text)}
    names |= {m[1] or m[2]: True for m in TYPE.finditer(text)}
    names |= {m[1]: bool(m[2]) for m in MACRO.finditer(text)}
    names |= {name: False for m in ENUM.finditer(text) for name in re.findall(r"(?m)^\s*(NART_[A-Z]\w*)", m[1])}
    names |= {"NART_" + name: False for name in re.findall(r"\bX\((E\w+), -\d", text)}
    return {name: has_page for name, has_page in names.items() if name not in BY_THE_BUILD}


def anchors(page):
    return set(re.findall(r'\{ #([\w.]+) \}$|<a id="(\w+)">', page, re.MULTILINE))


def places(out):
    return {path.name: {a or b for a, b in anchors(path.read_text())} for path in (out / "site").glob("*.md")}


def symbols(args):
    found, placed = [], places(args.out)
    exported = set((ROOT / "tests/install/symbols.txt").read_text().split())
    seen = set()
    for path in sorted((ROOT / "include/nart").glob("*.h")):
        for name, has_page in public(path.read_text()).items():
            seen.add(name)
            declared_first = any(name in page for page in placed.values())
            if name not in placed[path.stem + ".md"] and not declared_first:
                found.append(f"{name} has no place on {path.stem}.md")
            if has_page and not (args.out / "man3" / f"{name}.3").exists():
                found.append(f"{name} has no manual page")
    found += [f"{name} is exported and in no header" for name in sorted(exported - seen) if "__" not in name]
    return found + ["too few symbols"] * (len(seen) < 1000)


def links(args):
    found, placed, count = [], places(args.out), 0
    for path in sorted((args.out / "site").glob("*.md")):
        for page, anchor in re.findall(r"\]\(([\w/.]*)#?([\w.]*)\)", path.read_text()):
            count += 1
            page = page or path.name
            if page not in placed or anchor and anchor not in placed[page]:
                found.append(f"{path.name}: {page}#{anchor} does not exist")
    for path in sorted((args.out / "man3").glob("*.3")):
        for name in re.findall(r"^\.Xr (\S+) 3|^\.so man3/(\S+)\.3$", path.read_text(), re.MULTILINE):
            count += 1
            if not (args.out / "man3" / f"{name[0] or name[1]}.3").exists():
                found.append(f"{path.name}: {name[0] or name[1]} does not exist")
    return found + ["too few links"] * (count < 3000)


def internal(args):
    found = []
    for path in [*(args.out / "site").glob("*.md"), *(args.out / "man3").glob("*.3")]:
        text = path.read_text().replace("struct nart__task", "")
        found += [f"{path.name}: {name}" for name in set(re.findall(r"nart__\w+|NART__\w+|nart/detail", text))]
    return found


def manual(args):
    real = [p for p in sorted((args.out / "man3").glob("*.3")) if not p.read_text().startswith(".so ")]
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", *real], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return [done.stdout] if done.returncode or done.stdout or not real else []


def sample(args):
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "nart").mkdir()
        shutil.copy(HERE / "sample.h", folder / "nart")
        done = pages(args, folder, folder / "out")
        if done.returncode:
            return [done.stderr]
        manual_pages = sorted((folder / "out/man3").glob("*.3"))
        made = {"sample.md": (folder / "out/site/sample.md").read_text(),
                "sample.3": "".join(f"==== {p.name}\n" + re.sub(r"(?m)^\.(Dd|Os) .*\n", "", p.read_text())
                                    for p in manual_pages)}
        for file, text in made.items():
            if args.write:
                (HERE / file).write_text(text)
            elif text != (HERE / file).read_text():
                found.append(f"{file} differs (check.py sample --write makes it this):\n{text}")
    return found


UNDOCUMENTED = {
    "nothing": "",
    "nart_twist": "NART_API nart_res nart_twist(nart_cx *cx);\n",
    "nart_turn": "static inline void nart_turn(nart_cx *cx);\n",
    "NART_TWIST": "#define NART_TWIST 1\n",
    "NART_TURN": "enum { NART_TURN };\n",
    "nart_pair": "typedef struct nart_pair {\n    int left; /**< one */\n} nart_pair;\n",
    "right": "/** Two. */\ntypedef struct nart_pair {\n    int right;\n} nart_pair;\n",
}


def refused(args):
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "nart").mkdir()
        for what, text in UNDOCUMENTED.items():
            (folder / "nart/more.h").write_text(f"/** @file\n *  More. */\n#ifndef M\n#define M\n\n{text}\n#endif\n")
            done = pages(args, folder, folder / "out")
            if (done.returncode != 0) != bool(text) or text and what not in done.stderr:
                found.append(f"{what}: status {done.returncode}, {done.stderr}")
    return found


def main():
    checks = {f.__name__: f for f in (write, symbols, links, internal, manual, sample, refused)}
    parser = argparse.ArgumentParser()
    parser.add_argument("check", choices=checks)
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--doxygen", default="doxygen")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    found = checks[args.check](args)
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
