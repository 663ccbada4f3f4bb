#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Proves one suite: its scenarios pass, and they detect each mutant of mutants.py.

 1. Three proofs: loom.<suite> and relacy.<suite>, each scenario within the bound of its list, and
    mutants.<suite>.
 2. A mutant is killed when a scenario fails on it, under loom or else under relacy. One that survives
    fails the proof, unless equivalents.txt lists it with a proof. An entry of that list that names no
    mutant of this suite's files fails, too.
 3. A proof whose sources have not changed is run in part: see ledger.py. A whole proof that passes is
    written to ledger.txt, which is committed with the change.

usage: prove.py --suite hub --cc gcc --cxx g++ --cargo cargo --loom libnart_loom.a
                --sources file ... --mutate file ...
                [--only text] [--keep] [--digests]
Files are named relative to the source tree. NART_PROVE and NART_PROVE_DAY: see ledger.py.
"""

import argparse
import concurrent.futures
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

import ledger
from ledger import MODELS, ROOT
from mutants import list_of, mutants_of

SCRIPTS = [MODELS / "prove.py", MODELS / "ledger.py"]
SCENARIO_SECONDS = 900
MUTANT_SECONDS = 60


class Trouble(Exception):
    """A run ended without a result."""


class Loom:
    """The scenarios under loom: C code with calls of __tsan_*, and an archive that implements them."""

    name = "loom"

    def __init__(self, options):
        self.o = options
        self.sources = [f"tests/models/scenarios/{options.suite}.c", *options.sources]

    def flags(self, tree):
        return ["-std=c11", "-O1", "-fsanitize=thread", *common_flags(tree)]

    def commands(self, tree, out):
        objects = []
        for source in self.sources:
            objects.append(out / f"{len(objects)}.o")
            yield [self.o.cc, *self.flags(tree), "-c", in_tree(tree, source), "-o", objects[-1]]
        yield [self.o.cc, *objects, self.o.loom, "-lpthread", "-ldl", "-lm", "-o", out / self.name]

    def digest(self):
        files = [f for s in self.sources
                 for f in ledger.read_by(self.o.cc, self.flags(ROOT), ROOT / s)]
        files += [*SCRIPTS, *ledger.rust_files(MODELS / "loom")]
        return ledger.digest([*self.flags(pathlib.Path()), *self.sources,
                              ledger.version_of(self.o.cc),
                              *ledger.rust_compilers(self.o.cargo)], files)


class Relacy:
    """The scenarios under relacy: compiled with the C code as one C++ program."""

    name = "relacy"

    def __init__(self, options):
        self.o = options
        self.source = f"tests/models/relacy/{options.suite}.cpp"

    def flags(self, tree):
        return ["-std=c++17", "-O1", "-DMODEL_RELACY", '-DNART__ATOMIC_HEADER="relacy/atomic.hpp"',
                *common_flags(tree)]

    def commands(self, tree, out):
        yield [self.o.cxx, *self.flags(tree), ROOT / self.source, "-o", out / self.name]

    def digest(self):
        files = ledger.read_by(self.o.cxx, self.flags(ROOT), ROOT / self.source) + SCRIPTS
        return ledger.digest([*self.flags(pathlib.Path()),
                              ledger.version_of(self.o.cxx)], files)


def common_flags(tree):
    return ["-D_GNU_SOURCE", "-DNART__MODEL", "-w", f"-I{tree / 'include'}", f"-I{tree / 'c_src'}",
            f"-I{MODELS if tree.is_absolute() else 'tests/models'}"]


def in_tree(tree, source):
    return tree / source if (tree / source).exists() else ROOT / source


def build(engine, tree, out):
    for command in engine.commands(tree, out):
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode != 0:
            raise Trouble(" ".join(map(str, command)) + "\n" + done.stdout)
    return out / engine.name


def scenarios_of(program):
    return ledger.said_by(program, "--list").split()


def holds(program, scenario, output=subprocess.DEVNULL):
    return ledger.holds([program, scenario], stdout=output, stderr=subprocess.STDOUT)


def run(proof, judge, seconds):
    """Whether all of today's items pass. judge(item) returns a text and a bool. Each program is limited to
    `seconds` of processor time, which does not depend on other load."""
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, hard))
    with concurrent.futures.ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for text, good in pool.map(judge, proof.today):
            proof.says(text, good)
    return proof.ends()


def prove_scenarios(options, engine, out):
    digest = engine.digest() # before the build
    program = build(engine, ROOT, out)

    def judge(scenario):
        with tempfile.TemporaryFile("w+") as said:
            good = holds(program, scenario, said)
            said.seek(0)
            return said.read().rstrip(), good

    name = f"{engine.name}.{options.suite}"
    proof = ledger.Proof(name, engine.digest, scenarios_of(program))
    if proof.of != digest:
        raise Trouble(f"{name}: its sources have changed meanwhile: run it again")
    return run(proof, judge, SCENARIO_SECONDS)


def prove_mutants(options, engines):
    mutants, proven, stray = mutants_of(options.suite, options.mutate)

    def killer(mutant, tree):
        (tree / mutant.file).write_text(mutant.text)
        for engine in engines:
            program = build(engine, tree, tree)
            for scenario in scenarios_of(program):
                if not holds(program, scenario):
                    return f"{engine.name} {scenario}"
        return None

    def judge(mutant):
        tree = pathlib.Path(tempfile.mkdtemp(prefix="nart-mutant-"))
        try:
            for part in ("c_src", "include"):
                shutil.copytree(ROOT / part, tree / part)
            who = killer(mutant, tree)
            return f"{mutant.name}: {f'killed by {who}' if who else 'SURVIVES'}", who is not None
        finally:
            if options.keep:
                print(f"{mutant.name}: {tree}")
            else:
                shutil.rmtree(tree)

    for e in stray:
        print(f"equivalents.txt: no such mutant: {e}")
    if proven:
        print(f"{options.suite}: {proven} mutants are proven equivalent")
    proof = ledger.Proof(
        f"mutants.{options.suite}", lambda: mutants_digest(options, engines), mutants)
    if options.only:
        proof.only([m for m in mutants if options.only in m.name])
    return run(proof, judge, MUTANT_SECONDS) and not stray


def mutants_digest(options, engines):
    files = [ROOT / where.partition(":")[0] for where in options.mutate]
    files += [*SCRIPTS, MODELS / "mutants.py", MODELS / "equivalents.txt"]
    if list_of(options.suite).exists():
        files.append(list_of(options.suite))
    return ledger.digest([*options.mutate, *(engine.digest() for engine in engines)], files)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--suite", required=True)
    p.add_argument("--cc", required=True)
    p.add_argument("--cxx", required=True)
    p.add_argument("--cargo", required=True)
    p.add_argument("--loom", required=True)
    p.add_argument("--sources", nargs="*", default=[], help="C files that the programs consist of")
    p.add_argument("--mutate", nargs="*", default=[], help="files whose memory orders are weakened")
    p.add_argument("--only", default="", help="only mutants with this text in their names")
    p.add_argument("--keep", action="store_true", help="keep the mutated trees")
    p.add_argument("--digests", action="store_true", help="print the proofs' digests, run nothing")
    options = p.parse_args()
    ledger.without_settings()

    engines = [Loom(options)]
    if (MODELS / "relacy" / f"{options.suite}.cpp").exists():
        engines.append(Relacy(options))
    if options.digests:
        for engine in engines:
            print(f"{engine.name}.{options.suite} {engine.digest()}")
        print(f"mutants.{options.suite} {mutants_digest(options, engines)}")
        return 0

    good = True
    if not options.only:
        for engine in engines:
            with tempfile.TemporaryDirectory(prefix="nart-model-") as out:
                good = prove_scenarios(options, engine, pathlib.Path(out)) and good
    return 0 if prove_mutants(options, engines) and good else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (Trouble, ValueError) as trouble:
        sys.exit(f"prove.py: {trouble}")
