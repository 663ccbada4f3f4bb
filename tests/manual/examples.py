#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Builds the examples of a page of the manual, and runs them.

    examples.py PAGE... --include DIR [--lib FILE]... --cc COMPILER...    every rule below
    examples.py --faults --include DIR --cc COMPILER                each broken rule is detected

A page is a header or a file in Markdown.

Rules
  1. An example is a block ```c; in a header also lines of a doc comment that are indented by four and
     follow an empty line.
  2. A part of an example ends at an empty line outside of braces. A part that begins with `static`,
     `typedef`, `struct NAME {`, `#` or a macro that defines (NART_RESOURCE, NART_HANDLER,
     NART_CHAN_TYPED, NART_TASK_TYPED) is a declaration; any other part is a statement. Comments before it do not
     count. An example with `int main` is one declaration.
  3. An example becomes a program. If programs/PAGE.N.c exists (N: the number of the example on the
     page, from 1), it is that file: the declarations replace its line /* DECLARATIONS */, the
     statements its line /* STATEMENTS */. Otherwise the program is the declarations alone. Statements
     without such a file are an error, and so is such a file without an example.
  4. Every program is compiled by every compiler, with -std=c11 -Wall -Wextra -Werror. One with a `main`
     is linked with the libraries and run: its status must be 0. If one of the compilers is clang,
     nart-check finds nothing in it.
  5. A header has an example, unless NO_EXAMPLE gives a reason.
"""
import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

PROGRAMS = pathlib.Path(__file__).resolve().parent / "programs"
CHECK = PROGRAMS.parents[2] / "c_src" / "cmake" / "nart-check"
LANGUAGE = ["-std=c11", "-D_POSIX_C_SOURCE=200809L"]
OPTIONS = [*LANGUAGE, "-O1", "-Wall", "-Wextra", "-Werror"]
DECLARATION = re.compile(r"(//[^\n]*\n)*\s*"
                         r"(static\b|typedef\b|struct \w+\s*\{|#|NART_(RESOURCE|HANDLER|CHAN_TYPED|TASK_TYPED))")

NO_EXAMPLE = {
    "nart.h": "includes the others",
    "driver.h": "for authors of drivers",
    "version.h": "numbers",
}


class Fault(Exception):
    pass


def comment_lines(text):
    """(number, text) of every line within a doc comment, without the stars; None between comments."""
    inside = False
    for number, line in enumerate(text.splitlines(), 1):
        if not inside and line.lstrip().startswith("/**"):
            inside = "*/" not in line
            yield number, None
        elif inside:
            inside = "*/" not in line
            yield number, re.sub(r"^\s*\*/?( |$)", "", line) if inside else None


def examples(path, text):
    """[(first line, code)] of a page."""
    header = path.suffix == ".h"
    lines = comment_lines(text) if header else enumerate(text.splitlines(), 1)
    found, block, fence, before = [], None, None, ""
    for number, line in lines:
        if fence is not None:
            if line is None:
                raise Fault(f"{path}:{number}: a block without an end")
            if line.startswith("```"):
                if fence == "c":
                    found.append(block)
                block = fence = None
            else:
                block[1].append(line)
        elif line is not None and line.startswith("```"):
            fence, block = line[3:].strip(), (number + 1, [])
        elif header and line is not None and line.startswith("    ") and (block or before == ""):
            if not block:
                block = (number, [])
                found.append(block)
            block[1].append(line[4:])
        elif block and line == "":
            block[1].append("")
        else:
            block = None
        before = line
    return [(number, "\n".join(code).rstrip()) for number, code in found]


def parts(number, code):
    """(first line, code) of the parts of an example."""
    part, depth = [], 0
    for line in code.split("\n"):
        if line or depth:
            part.append(line)
            depth += line.count("{") - line.count("}")
        elif part:
            yield number - len(part), "\n".join(part)
            part = []
        number += 1
    if part:
        yield number - len(part), "\n".join(part)


def program_of(path, index, number, code, programs):
    """The source text of a program with the example."""
    declarations, statements = [], []
    for first, part in [(number, code)] if "int main" in code else parts(number, code):
        declares = "int main" in code or DECLARATION.match(part)
        (declarations if declares else statements).append(f'#line {first} "{path}"\n{part}\n')
    own = programs / f"{path.stem}.{index}.c"
    if not own.exists():
        if statements:
            raise Fault(f"{path}:{number}: statements need a program, {own.name}")
        return "#include <nart/nart.h>\n" + "".join(declarations)
    filled = [(declarations, "DECLARATIONS"), (statements, "STATEMENTS")]
    made = []
    for line, text in enumerate(own.read_text().splitlines(), 1):
        for put, word in filled:
            if text.strip() == f"/* {word} */":
                made += put + [f'#line {line + 1} "{own}"\n']
                put.clear()
                break
        else:
            made.append(text + "\n")
    for put, word in filled:
        if put:
            raise Fault(f"{path}:{number}: {own.name} has no line /* {word} */")
    return "".join(made)


def run(what, command, work):
    done = subprocess.run(command, cwd=work, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True, errors="replace")
    if done.returncode != 0:
        raise Fault(f"{what}: {' '.join(map(str, command))}\n{done.stdout}")


def clang_of(args):
    return next((cc for cc in args.cc if "clang" in pathlib.Path(cc).name), None)


def check(path, args, work, programs=PROGRAMS):
    """Builds and runs each example of a page. Returns their number."""
    found = examples(path, path.read_text())
    if path.suffix == ".h" and bool(found) == (path.name in NO_EXAMPLE):
        raise Fault(f"{path}: {'an example is not expected here' if found else 'no example'}")
    for own in programs.glob(f"{path.stem}.*.c"):
        if int(own.suffixes[0][1:]) > len(found):
            raise Fault(f"{own}: the page has {len(found)} examples")
    for index, (number, code) in enumerate(found, 1):
        source = work / f"{path.stem}.{index}.c"
        source.write_text(program_of(path, index, number, code, programs))
        include = [f"-I{args.include}", f"-I{PROGRAMS}"]
        clang = clang_of(args)
        if clang:
            run(f"{path}:{number}", [sys.executable, "-B", CHECK, "--clang", clang, source, "--", *LANGUAGE,
                                     *include], work)
        runs = re.search(r"^int main", source.read_text(), re.MULTILINE) is not None
        for cc in args.cc:
            binary = source.with_suffix("." + pathlib.Path(cc).name)
            command = [cc, *OPTIONS, *include, source]
            if not runs or not args.lib:
                run(f"{path}:{number}", command + ["-c", "-o", binary], work)
                continue
            rpath = [f"-Wl,-rpath,{pathlib.Path(lib).parent}" for lib in args.lib]
            run(f"{path}:{number}", command + ["-o", binary, *args.lib, *rpath, "-lpthread"],
                work)
            run(f"{path}:{number}", [binary], work)
    return len(found)


GOOD = " *     nart_rt_stop(rt);\n"
BROKEN = {
    "an argument is missing": GOOD.replace("rt)", ")"),
    "a variable that is not there": GOOD.replace("rt)", "runtime)"),
    "an answer that is not used": GOOD.replace("stop", "run"),
    "something is left out": GOOD + " *     ...\n",
    "statements and no program": GOOD + " *\n * And:\n *\n" + GOOD,
    "a program and no example": "",
}
LOST = " *     " + """static __attribute__((unused)) nart_res run(nart_cx *cx, nart_co *co)
{
    int n = 0;
    NART_BEGIN(cx, co);
    n = 1;
    NART_YIELD();
    NART_END(n);
}
""".replace("\n", "\n *     ").rstrip(" *") + " *\n" + GOOD
KEPT = LOST.replace("n = 1;\n *         NART_YIELD();", "NART_YIELD();\n *         n = 1;")


def undetected(args, work):
    """Breaks the rules in turn; yields the undetected faults."""
    page, programs = work / "page.h", work / "programs"
    programs.mkdir()
    (programs / "page.1.c").write_text("#include <nart/nart.h>\nvoid f(nart_rt *rt);\n/* DECLARATIONS */\n"
                                       "void f(nart_rt *rt)\n{\n/* STATEMENTS */\n}\n")
    broken = {**BROKEN, "a variable that an await loses": LOST} if clang_of(args) else BROKEN
    for what, text in {"nothing": GOOD, "nothing in a body": KEPT, **broken}.items():
        page.write_text("/**\n * Text.\n *\n" + text + " */\n")
        try:
            check(page, args, work, programs)
            found = False
        except Fault:
            found = True
        if found != (what in broken):
            yield f"{'not ' if not found else ''}found out: {what}"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("page", nargs="*", type=pathlib.Path)
    parser.add_argument("--include", required=True)
    parser.add_argument("--lib", action="append", default=[])
    parser.add_argument("--cc", action="append", required=True)
    parser.add_argument("--faults", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = pathlib.Path(name)
        faults = list(undetected(args, work)) if args.faults else []
        for page in args.page:
            try:
                print(f"{page}: {check(page, args, work)} examples")
            except Fault as fault:
                faults.append(str(fault))
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
