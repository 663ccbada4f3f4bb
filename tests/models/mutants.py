#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Breaks the library's files in every way that a model test must notice.

 1. Mutants: each memory order in the given files, weakened in every way (acq_rel to acquire, to
    release and to relaxed; acquire and release to relaxed), and what mutants/<suite>.txt lists:
    decisions taken by other means than one read-modify-write, steps left out.
 2. A mutant is killed when a scenario fails on it, under loom or else under relacy.
 3. A mutant that survives fails this test, unless equivalents.txt has it with its proof. An entry
    of that list which names none of this suite's files' mutants fails, too.

usage: mutants.py --suite hub --cc gcc --cxx g++ --loom libnart_loom.a
                  --sources file ... --mutate file ... [--only text] [--keep]
Files are named relative to the source tree.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

MODELS = pathlib.Path(__file__).resolve().parent
ROOT = MODELS.parent.parent
WEAKER = {
    "ACQUIRE": ["RELAXED"],
    "RELEASE": ["RELAXED"],
    "ACQ_REL": ["ACQUIRE", "RELEASE", "RELAXED"],
}
SECONDS = 60  # of processor time that a scenario or a compiler may take, however busy the machine


class Trouble(Exception):
    """No verdict could be had."""


class Mutant:
    """A file of the tree with one thing broken."""

    def __init__(self, name, file, text):
        self.name, self.file, self.text = name, file, text


def blank_comments(text):
    """The text with comments as spaces, so that places stay the same."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)


def function_at(code, place):
    """The name of the function around a place: its definition begins at the start of a line."""
    name = "?"
    for m in re.finditer(r"^[A-Za-z_][^\n;={]*?(\w+)\([^;{]*\)\s*\{", code, flags=re.M):
        if m.start() > place:
            break
        name = m[1]
    return name


def places_of(fragment, code):
    """Where the code has these words and signs, whatever its layout and comments."""
    tokens = re.findall(r"\w+|[^\w\s]", blank_comments(fragment))
    return [m.span() for m in re.finditer(r"\s*".join(map(re.escape, tokens)), code)]


def order_mutants(where):
    """`file`, `file:prefix` only functions whose names begin so, `file:!prefix` the others."""
    file, _, prefix = where.partition(":")
    text = (ROOT / file).read_text()
    code = blank_comments(text)
    count = {}
    for m in re.finditer(r"\bNART__(ACQUIRE|RELEASE|ACQ_REL)\b", code):
        function = function_at(code, m.start())
        if function.startswith(prefix.lstrip("!")) == prefix.startswith("!"):
            continue
        operation = re.findall(r"NART__(LOAD|STORE|EXCHANGE|CAS|FETCH_\w+)\(", code[: m.start()])[-1]
        base = f"{file} {function} {operation}"
        count[base] = count.get(base, 0) + 1
        nth = f" {count[base]}" if count[base] > 1 else ""
        for weaker in WEAKER[m[1]]:
            mutated = text[: m.start(1)] + weaker + text[m.end(1) :]
            yield Mutant(f"{base}{nth} {m[1]} to {weaker}", file, mutated)


def listed_mutants(suite):
    """Blocks `[name] file`, code to take out after '-', code to put there after '+'."""
    path = MODELS / "mutants" / f"{suite}.txt"
    if not path.exists():
        return
    blocks = re.findall(
        r"^\[(\w+)\] (\S+)\n((?:-[^\n]*\n)+)((?:\+[^\n]*\n)*)", path.read_text(), flags=re.M
    )
    for name, file, out, put in blocks:
        text = (ROOT / file).read_text()
        out = re.sub(r"^-", "", out, flags=re.M)
        put = re.sub(r"^\+", "", put, flags=re.M)
        places = places_of(out, blank_comments(text))
        if len(places) != 1:
            raise Trouble(f"{path}: {name}: its code is in {file} {len(places)} times, not once")
        [(start, end)] = places
        yield Mutant(name, file, text[:start] + put + text[end:])


def equivalents():
    """Lines that begin at the margin name mutants; indented ones are their proofs."""
    lines = (MODELS / "equivalents.txt").read_text().splitlines()
    return [line for line in lines if line and not line[0].isspace() and line[0] != "#"]


class Suite:
    """Builds and runs the programs of one suite over a mutated tree."""

    def __init__(self, options):
        self.o = options
        self.relacy_program = MODELS / "relacy" / f"{options.suite}.cpp"
        self.engines = [self.loom] + ([self.relacy] if self.relacy_program.exists() else [])

    def compile(self, command):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Trouble(" ".join(map(str, command)) + "\n" + done.stdout)

    def flags(self, tree):
        includes = [f"-I{tree}/include", f"-I{tree}/c_src", f"-I{MODELS}"]
        return ["-D_GNU_SOURCE", "-DNART__MODEL", "-w", *includes]

    def loom(self, tree):
        sources = [MODELS / "scenarios" / f"{self.o.suite}.c"]
        sources += [tree / f if (tree / f).exists() else ROOT / f for f in self.o.sources]
        objects = []
        for source in sources:
            objects.append(tree / f"{len(objects)}.o")
            self.compile([self.o.cc, "-std=c11", "-O1", "-fsanitize=thread", *self.flags(tree),
                          "-c", source, "-o", objects[-1]])
        program = tree / "loom"
        self.compile([self.o.cc, *objects, self.o.loom, "-lpthread", "-ldl", "-lm", "-o", program])
        return program

    def relacy(self, tree):
        program = tree / "relacy"
        self.compile([self.o.cxx, "-std=c++17", "-O1", "-DMODEL_RELACY",
                      '-DNART__ATOMIC_HEADER="relacy/atomic.hpp"', *self.flags(tree),
                      self.relacy_program, "-o", program])
        return program

    def killer(self, program):
        """The first scenario that fails, or None."""
        names = subprocess.run([program, "--list"], stdout=subprocess.PIPE, text=True, check=True)
        for name in names.stdout.split():
            done = subprocess.run([program, name], stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL)
            if done.returncode == -signal.SIGXCPU:
                raise Trouble(f"{program} {name} does not end: lower its bounds")
            if done.returncode == 2:
                raise Trouble(f"{program} {name} gives no verdict")
            if done.returncode != 0:
                return f"{program.name} {name}"
        return None

    def verdict(self, mutant):
        """Who kills the mutant, or None."""
        tree = pathlib.Path(tempfile.mkdtemp(prefix="nart-mutant-"))
        try:
            for part in ("c_src", "include"):
                shutil.copytree(ROOT / part, tree / part)
            (tree / mutant.file).write_text(mutant.text)
            killers = (self.killer(engine(tree)) for engine in self.engines)
            return next(filter(None, killers), None)
        finally:
            if self.o.keep:
                print(f"{mutant.name}: {tree}")
            else:
                shutil.rmtree(tree)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--suite", required=True)
    p.add_argument("--cc", required=True)
    p.add_argument("--cxx", required=True)
    p.add_argument("--loom", required=True)
    p.add_argument("--only", default="", help="only mutants with this text in their names")
    p.add_argument("--keep", action="store_true", help="keep the mutated trees")
    p.add_argument("--sources", nargs="*", required=True, help="C files that the programs consist of")
    p.add_argument("--mutate", nargs="*", default=[], help="files whose memory orders are weakened")
    options = p.parse_args()

    known = equivalents()
    mutants = [m for f in options.mutate for m in order_mutants(f)]
    mutants += listed_mutants(options.suite)
    files = {f.partition(":")[0] for f in options.mutate}
    names = {m.name for m in mutants} | {m.name for f in files for m in order_mutants(f)}
    stray = [e for e in known if e.split()[0] in files and e not in names]
    proven = [m for m in mutants if m.name in known]
    tried = [m for m in mutants if m.name not in known and options.only in m.name]
    suite = Suite(options)
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, resource.getrlimit(resource.RLIMIT_CPU)[1]))
    survivors = 0
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for mutant, verdict in zip(tried, pool.map(suite.verdict, tried)):
            print(f"{mutant.name}: {f'killed by {verdict}' if verdict else 'SURVIVES'}", flush=True)
            survivors += verdict is None
    for e in stray:
        print(f"equivalents.txt: no such mutant: {e}")
    print(f"{options.suite}: {len(tried)} mutants, {len(tried) - survivors} killed, "
          f"{survivors} survive, {len(proven)} proven equivalent")
    return 1 if survivors or (stray and not options.only) else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Trouble as trouble:
        sys.exit(f"mutants.py: {trouble}")
