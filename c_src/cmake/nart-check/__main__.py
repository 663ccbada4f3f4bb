#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""nart-check: finds mistakes in bodies of nart/co.h that compilers do not detect, in C and in C++.

    nart-check [--clang CLANG] FILE... [-- OPTION...]
    nart-check [--clang CLANG] -p BUILD [--target NAME] [FILE...] [-- OPTION...]

The first form passes the options to clang (-Iinclude, -std=c11). The second takes those of each file from
BUILD/compile_commands.json, and checks all files there, those of one target, or those named. In CMake:
nart_check(<target>). Needs Python 3.9 and clang 10, whatever compiles the program.

 1. A local variable that is lost by an await. A body is called again in each poll: the code before NART_BEGIN
    runs again, then execution jumps to the pending await. So a variable that was set after NART_BEGIN has its
    initial value again, or none. Reported: one that is set, by an initialiser or otherwise, and read after an
    await without being set in between. The awaited expression is evaluated after the await, too: so its inputs,
    the handle that the operation waits in, and what the operations that continue fill and count (`buf` and `done` of
    nart_stream_read_exact()) are reported. So is what an arm of a NART_ALL has set, if it is read afterwards.
 2. A `break` outside of loops and switches: it leaves the body and continues at its NART_END.
 3. An await in a switch of the body. Compilers reject it, but not with -w, and not in a switch on __int128.
 4. A plain `return` after NART_BEGIN: the next call of the body aborts the process.
 5. A ++, --, += or the like in an awaited expression: it is repeated in each poll.
 6. An await of nart/fiber.h in a body.

Method: clang dumps the syntax tree of the preprocessed file. The statements of a body form a graph, in which an
await leads to its resume point. A backward pass finds where a variable is live: it may be read before it is set.
A forward pass finds where it is changed: it was set since the last await. What is both at an await is lost there.
Members of a structure, and elements of an array with a constant index, are followed one by one.

Limits
  - A call with the address of a variable reads it if the parameter points to const, otherwise sets it; functions of
    nart that close, release, move, commit or cancel what it points to do both. So an
    out-parameter of an awaited operation may be a local variable. Not so its handle: a structure that is the
    argument after `cx`, or that contains a nart_co, a nart_timer, a nart_waiter or a nart_stream. Nor anything that
    is passed to an operation with a parameter named `done`, which it continues from. A function of your own that
    writes to an out-parameter before it answers is seen by that name only.
  - An element with a variable index is a part of an array: a loop that fills the array does not count as setting
    it, so it is reported if it is read after an await. Declare such an array in a block.
  - Of the side effects of an awaited expression it does not see those of functions, nor an assignment.
  - It does not see a change through a pointer, nor an initial value that differs in the next poll
    (`int n = f->n;` before NART_BEGIN).
  - C++: what a lambda captures is not followed. Calling a member function that is not const sets the object.

Exit status: 0 no findings, 1 findings, 2 a file cannot be checked.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

from body import Body
from tree import Tree

CLANGS = ["clang", *(f"clang-{version}" for version in range(30, 9, -1))]
# Of the options of another compiler, those that decide what the file means. The first take an argument.
WITH_VALUE = re.compile(r"-(I|D|U|isystem|iquote|idirafter|include|imacros|isysroot|x|target)$")
KEPT_OPTION = re.compile(r"-([IDU].|isystem.|iquote.|idirafter.|std=|ansi$|m(32|64)$|nostdinc|pthread$|-sysroot"
                         r"|-target=|f(un)?signed-char$|fshort-enums$|fms-extensions$|fno-(exceptions|rtti)$)")


class Unreadable(Exception):
    pass


def options_of(command):
    """The options of a compiler's command that clang needs, too."""
    kept, words = [], iter(command)
    for word in words:
        if WITH_VALUE.match(word):
            kept += [word, next(words, "")]
        elif KEPT_OPTION.match(word):
            kept.append(word)
    return kept


def from_database(folder, target, files):
    """(file, its folder, options) of a compile_commands.json."""
    path = pathlib.Path(folder, "compile_commands.json")
    try:
        entries = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise Unreadable(f"{path}: {error}: configure with CMAKE_EXPORT_COMPILE_COMMANDS") from None
    wanted, known = {os.path.realpath(f) for f in files}, set()
    for entry in entries:
        file = os.path.join(entry["directory"], entry["file"])
        command = entry.get("arguments") or shlex.split(entry["command"])
        output = entry.get("output") or " ".join(command)
        if not re.search(r"\.(c|cc|cpp|cxx|C|c\+\+)$", file):
            continue
        if target and f"/{target}.dir/" not in output.replace("\\", "/"):
            continue
        if not wanted or os.path.realpath(file) in wanted:
            known.add(os.path.realpath(file))
            yield file, entry["directory"], options_of(command[1:])
    if wanted - known:
        raise Unreadable(f"{path} does not name {' or '.join(sorted(wanted - known))}")


def findings(clang, file, folder, options):
    """{(file, line, text)}"""
    command = [clang, "-fsyntax-only", "-w", "-Xclang", "-ast-dump=json", *options, file]
    done = subprocess.run(command, cwd=folder, capture_output=True, check=False)
    if done.returncode != 0:
        raise Unreadable(f"{file}: {clang} does not compile it:\n{done.stderr.decode(errors='replace').strip()}")
    tree = Tree(done.stdout)
    try:
        return {(os.path.join(folder, f), line, text)
                for function in tree.bodies() for f, line, text in Body(tree, function).findings()}
    except (AttributeError, LookupError, ValueError, TypeError) as error:
        raise Unreadable(f"{file}: {clang} dumps it in an unknown way: {error!r}") from error


def check(args, options):
    clang = args.clang or next(filter(shutil.which, CLANGS), None)
    if not clang or not shutil.which(clang):
        raise Unreadable(f"{clang or 'clang'} was not found: install the package clang, or name one by --clang")
    if args.build:
        jobs = [(*job, kept + options) for *job, kept in from_database(args.build, args.target, args.file)]
    else:
        jobs = [(file, os.getcwd(), options) for file in args.file]
    if not jobs:
        raise Unreadable("there are no files to check")
    found, problems = set(), []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in [pool.submit(findings, clang, *job) for job in jobs]:
            try:
                found |= done.result()
            except (Unreadable, OSError) as problem:
                problems.append(problem)
    for file, line, text in sorted(found):
        shown = os.path.relpath(file)
        print(f"{file if shown.startswith('..') else shown}:{line}: {text}")
    if problems:
        raise Unreadable("\n".join(map(str, problems)))
    return int(bool(found))


def main():
    usage = __doc__[__doc__.index("    nart"):__doc__.index("\n\nThe first")].strip().replace("    nart", "       nart")
    parser = argparse.ArgumentParser(usage=usage, description=__doc__[__doc__.index("The first"):],
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="*")
    parser.add_argument("-p", dest="build")
    parser.add_argument("--target")
    parser.add_argument("--clang")
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    try:
        return check(parser.parse_args(words[:end]), words[end + 1:])
    except Unreadable as problem:
        print(f"nart-check: {problem}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
