#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Checks tests/contracts/contracts.md against the tests of a build.

    check.py --build DIR [--without GROUP ...]    every rule below
    check.py --build DIR --faults                 each broken rule is detected

Rules
  1. A row has a contract and a proof: names of ctest entries, or "Not here: " and a reason.
  2. Every name anywhere in a proof is an entry of the build. For groups that this build leaves out
     (--without bridge) the cases are read from the sources, and for entries that only some builds have
     (rust, install) from the CMakeLists.txt of their group. ENTRY:NAME is a test of Rust that the entry runs,
     and .ci/run NAME a stage.
  3. The numbers of rows, and of entries per group, are at least those in the table of counts; every
     group named in a proof has a count. A group that this build skips has the entry GROUP.all
     instead, and is not counted.
"""
import argparse
import itertools
import json
import pathlib
import re
import subprocess
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
PAGE = TESTS / "contracts" / "contracts.md"
VARIABLES = "(clang|gcc|installed|source)"  # what variables in names of entries are


def entries_of_build(build):
    said = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True,
                          capture_output=True, text=True).stdout
    return {test["name"] for test in json.loads(said)["tests"]}


def entries_of_sources(group):
    for source in (TESTS / group).glob("test_*.c"):
        name = source.stem.removeprefix("test_")
        cases = re.findall(r"^TEST(_EACH|_WITH)?\(([\w, ]+)\)", source.read_text(), re.MULTILINE)
        for macro, words in cases:
            case, *kinds = words.split(", ")
            for suffix in [f".{kind}" for kind in kinds] if macro == "_EACH" else [""]:
                yield f"{group}.{name}.{case}{suffix}"
    if group == "rust":
        yield from (name for name in declared(group) if "(" not in name)


def declared(group):
    """The entries that CMake adds to a group in some build, as patterns."""
    lists = (TESTS / group / "CMakeLists.txt", TESTS / "bridge" / "bridge.cmake")
    text = "\n".join(path.read_text() for path in lists if path.exists())
    calls = rf"^ *(?:add_test\(NAME {group}\.|(?!nart_)\w+_test\()([\w${{}}.]+)"
    for name in re.findall(calls, text, re.MULTILINE):
        if not name.startswith("$"):
            yield group + "." + re.sub(r"\$\{\w+\}", VARIABLES, name)


def is_elsewhere(name):
    """Whether it is a test of Rust, a stage, or an entry of other builds."""
    if stage := re.fullmatch(r"\.ci/run ([\w-]+)", name):
        return f"\n    [{stage[1]}]=" in (TESTS.parent / ".ci" / "run").read_text()
    entry, colon, test = name.partition(":")
    if colon:
        sources = {"rust.unit": TESTS.parent / "rust_bridge" / "src", "rust.host": TESTS / "rust" / "host"}
        files = sources[entry].rglob("*.rs") if entry in sources else []
        return any(re.search(rf"#\[test\]\s+fn {test}\(", f.read_text()) for f in files)
    return any(re.fullmatch(pattern, name) for pattern in declared(name.partition(".")[0]))


def expand(name):
    """a.{b,c}_d -> a.b_d, a.c_d"""
    parts = re.split(r"\{([^}]*)\}", name)
    parts[1::2] = [part.split(",") for part in parts[1::2]]
    parts[0::2] = [[part] for part in parts[0::2]]
    return ["".join(choice) for choice in itertools.product(*parts)]


def tables(page):
    """The rows of the tables of contracts, and the table of counts."""
    rows, counts, kind = [], {}, None
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.split("|")[1:-1]] if line.startswith("|") else None
        if cells is None:
            kind = None
        elif cells[0] in ("contract", "what"):
            kind = cells[0]
        elif not set(line) <= set("|-"):
            if kind == "contract":
                rows.append(cells)
            elif kind == "what":
                counts[cells[0].strip("`")] = int(cells[1])
    return rows, counts


def faults_of(page, entries):
    rows, counts = tables(page)
    named = set()
    for row in rows:
        if len(row) != 2 or not row[0]:
            yield f"a row without a contract, or with too many columns: {row}"
            continue
        contract, proof = row
        names = [name for quoted in re.findall(r"`([^`]*)`", proof) for name in expand(quoted)]
        reason = re.fullmatch(r"Not here: .{20,}", proof)
        if not names and not reason:
            yield f"neither a test nor a reason: {contract}"
        if names and not reason and re.sub(r"`[^`]*`", "", proof).strip():
            yield f"text beside the names of tests: {contract}"
        for name in names:
            if name in entries:
                named.add(name.split(".")[0])
            elif not is_elsewhere(name):
                yield f"{name} is no test: {contract}"
    have = {"rows": len(rows)}
    for entry in entries:
        group = entry.split(".")[0]
        have[group] = have.get(group, 0) + 1
    for group in sorted(named - counts.keys()):
        yield f"group {group} is named and not counted"
    if "rows" not in counts:
        yield "rows are not counted"
    for what, least in counts.items():
        if have.get(what, 0) < least and f"{what}.all" not in entries:
            yield f"{what}: {have.get(what, 0)}, and there have been {least}"


def without_rows(page, number):
    """The page without that number of rows."""
    lines = page.splitlines()
    for line in [line for line in lines if line.startswith("| ") and line.endswith("` |")][:number]:
        lines.remove(line)
    return "\n".join(lines)


def undetected(page, entries):
    """Breaks each rule in turn; yields the undetected faults."""
    rows, counts = tables(page)
    row = next(line for line in page.splitlines() if "| Not here: " in line)
    named = next(line for line in page.splitlines() if line.startswith("| ") and "`" in line)
    test = re.search(r"`([^`{]*)`", named).group(1)
    broken = {
        "a row is gone": without_rows(page, 1 + len(rows) - counts["rows"]),
        "an empty contract": page.replace(named, "| |" + named.split("|")[2] + "|"),
        "an empty proof": page.replace(named, "|" + named.split("|")[1] + "| |"),
        "no reason": page.replace(row, "| A contract. | Not here: no. |"),
        "a test that is none": page.replace(test, test + "_"),
        "a test of Rust that is none": page.replace("rust.unit:", "rust.unit:no_"),
        "an entry of no build": page.replace("rust.vendored", "rust.no_vendored"),
        "a stage that is none": page.replace(".ci/run asan", ".ci/run no-asan"),
        "a group without a count": re.sub(r"\| `core` \| \d+ \|\n", "", page),
        "fewer tests": re.sub(r"\| `core` \| \d+ \|", f"| `core` | {len(entries)} |", page),
    }
    for what, text in broken.items():
        if text == page or not list(faults_of(text, entries)):
            yield f"not found out: {what}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--without", nargs="+", default=[])
    parser.add_argument("--faults", action="store_true")
    args = parser.parse_args()
    entries = entries_of_build(args.build)
    for absent in args.without:
        entries.update(entries_of_sources(absent))
    page = PAGE.read_text()
    faults = list((undetected if args.faults else faults_of)(page, entries))
    print("\n".join(faults) or f"{len(tables(page)[0])} rows, {len(entries)} tests")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
