#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Compares the errors that the manual lists with those that the source can return.

    returns.py           every rule below
    returns.py --faults  each broken rule is detected
    returns.py --show F  prints the codes of one function

The manual: for each function of the headers that returns a nart_res (or a pointer and `nart_res *err`)
the codes in the doc comment before it, and those of other functions to which its `@return` refers: "as
nart_x()", "errors of nart_x()", "answers of nart_x()", except those excluded by "but for". A text
that begins with "The same" refers to the previous function, one that begins with nart_x() to that one.
Statements of a page about all its functions are in returns.txt.

The source: the codes in the function's body, except those in comparisons, and the codes of the
functions that it calls without discarding the answer. A call through a member, `->f(` or `.f(`, calls
every function that an initialiser assigns to a member of that name. The call graph ends at
c_src/sys.c: returns.txt lists the errors of system calls. The result is an over-approximation, so
returns.txt also lists the correct differences, each with a reason. Codes that pass through memory, or
through a macro of c_src, are not tracked.

Rules
  1. A code that the source can return is in the manual. That of a system call may be missing where the
     text says "-errno".
  2. A code that the function's own text names can be returned by the source.
  3. A difference listed in returns.txt exists: an unused entry is an error.
  4. nart_err_name() knows every code of the manual and of the source.
  5. The functions of tokio.h, which are Rust, are compared as one: the codes that its text names with
     those that rust_bridge/src uses, except in files that the functions of tokio.h do not call.
"""
import argparse
import pathlib
import re
import sys

# For Rust code only, or called by the operations of other headers.
NOT_FOR_C = {"ends", "export", "export.rs", "host", "host.rs", "adopt.rs", "error.rs", "failure.rs", "io.rs"}
ROOT = pathlib.Path(__file__).resolve().parents[2]
TABLE = pathlib.Path(__file__).with_name("returns.txt")
# NART_END, NART_RDHUP and NART_ERROR are not error codes.
CODE = r"(?:-E[A-Z0-9]{2,}|NART_E(?!ND\b|NDED|RROR)[A-Z_]+[A-Z])\b"
REFERENCE = r"(?:[Aa]s|errors of|answers? of|^/\*\*)\s+((?:nart_\w+\(\)(?:,? (?:and|or) |, )?)+)"
FUNCTION = re.compile(r"^(?P<head>[A-Za-z_][^;{}#=()]*?(?P<name>\w+)\((?P<args>[^;{}]*)\))\n\{\n"
                      r"(?P<body>.*?)^\}", re.MULTILINE | re.DOTALL)
PUBLIC = re.compile(r"^(?:NART_API|static inline)\s[^;{}=]*?(?P<name>nart_[a-z]\w*)"
                    r"\((?P<args>[^;{}]*)\)(?=;|\n\{)", re.MULTILINE)


def without_comments(text):
    return re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group()), text, flags=re.DOTALL)


# ---- the source ----


class Source:
    """All functions of the C files and inline functions of the headers."""

    def __init__(self, texts):
        self.functions = {}  # (file or None, name) -> (has an answer, body, file)
        self.members = {}    # member -> names of functions
        for file, text in texts.items():
            text = re.sub(r"^#(.*\\\n)*.*\n", lambda m: "\n" * m.group().count("\n"),
                          without_comments(text), flags=re.MULTILINE)
            for m in FUNCTION.finditer(text):
                static = re.match(r"static\b", m["head"]) and file.suffix == ".c"
                words = m["head"][:m.start("name") - m.start()]
                by_pointer = re.search(r"\b(nart_res|int) \*\w*(err|r)\b", m["args"])
                answers = by_pointer or not re.search(r"\b(void|bool)\b", words)
                key = (file if static else None, m["name"])
                self.functions[key] = (bool(answers), m["body"], file)
            for member, function in re.findall(r"\.(\w+) = (\w+)\b", text):
                self.members.setdefault(member, set()).add((file, function))
        self.known = {}

    def find(self, file, name):
        return (file, name) if (file, name) in self.functions else (None, name)

    def calls(self, file, body):
        """The functions whose answer this one may return."""
        for m in re.finditer(r"(->|\.)?\b(\w+)\(", body):
            if is_dropped(re.split(r"[;{}]", body[:m.start()])[-1], body[m.end():]):
                continue
            if m.group(1):
                for where, function in sorted(self.members.get(m.group(2), ())):
                    yield self.find(where, function)
            else:
                yield self.find(file, m.group(2))
        for name in re.findall(r"[(,] ?(nart_\w+)(?=[,)])", body):  # passed as a callback
            yield self.find(file, name)

    def codes(self, key, ends, inner=None):
        """(own codes, codes of system calls) of a function; `ends` and `inner` map functions not followed to codes."""
        if key not in self.known:
            self.known[key] = set(), set()
            reach, own, system = [key], set(), set()
            seen = set(reach)
            while reach:
                at = reach.pop()
                if at[1] in ends:
                    system |= ends[at[1]]
                    continue
                if at != key and at[1] in (inner or {}):
                    own |= inner[at[1]]
                    continue
                if at not in self.functions:
                    continue
                answers, body, file = self.functions[at]
                if at != key and not answers:
                    continue
                for m in re.finditer(CODE, body):
                    if not re.search(r"([=!]= ?|case )\(?$", body[:m.start()]):
                        own.add(m.group())
                for call in self.calls(file, body):
                    if call not in seen:
                        seen.add(call)
                        reach.append(call)
            self.known[key] = own, system
        return self.known[key]


def is_dropped(before, after):
    """Is the answer of a call discarded, judging by the statement's text before it?"""
    before = before.strip()
    while control := re.match(r"else\b|(if|for|while) \(", before):
        end = control.end()
        depth = before[:end].count("(")
        while depth and end < len(before):
            depth += {"(": 1, ")": -1}.get(before[end], 0)
            end += 1
        if depth:  # inside a condition: kept only if that assigns it
            return not re.search(r"[^=!<>]=(?!=)", before)
        before = before[end:].strip()
    by_pointer = re.match(r"[^;]*&\w*(err|r)\b", after)
    return not by_pointer and bool(re.fullmatch(r"(\(void\)\s*)?(\w+(->|\.))*\w*", before)
                                   and before != "return")


# ---- the manual ----


class Manual:
    """The documentation of each public function."""

    def __init__(self, texts):
        self.text, self.page, self.args, self.answers = {}, {}, {}, set()
        self.previous, self.intro = {}, {}  # the function with the text before; comments of files
        for file, text in texts.items():
            docs = [(m.end(), m.group()) for m in re.finditer(r"/\*\*(?!<).*?\*/", text, re.DOTALL)]
            self.intro[file.name] = next((doc for _, doc in docs if "@file" in doc), "")
            last = prior = None
            if file.name == "tokio.h":
                continue  # its source is Rust
            for m in PUBLIC.finditer(re.sub(r"^#.*", lambda l: " " * len(l.group()),
                                            without_comments(text), flags=re.MULTILINE)):
                name = m["name"]
                before = [doc for end, doc in docs if end <= m.start()]
                self.text[name] = re.sub(r"\s*\n\s*\* ?", " ", before[-1]) if before else ""
                self.page[name] = file.name
                if last and self.text[last] != self.text[name]:
                    prior = last
                self.previous[name], last = prior, name
                self.args[name] = m["args"]
                head = m.group()[:m.start("name") - m.start()]
                if re.search(r"\bnart_res\b", head) or "nart_res *err" in m["args"]:
                    self.answers.add(name)

    def own(self, name):
        """The codes of its @return, or of its whole text if it has none."""
        text = self.text[name]
        if "@return" in text:
            text = text.split("@return", 1)[1]
            text = re.split(r"@param|\*\*(?:Ownership|Thread|Cost)\*\*", text)[0]
        return set(re.findall(rf"{CODE}|-errno", re.sub(rf"but for {CODE}", "", text)))

    def others(self, name):
        """The functions that its text refers to."""
        text = self.text[name]
        if re.match(r"/\*\* The same\b", text):
            yield self.previous[name]
        for names in re.findall(REFERENCE, text):
            yield from re.findall(r"nart_\w+", names)

    def codes(self, name, seen=()):
        """Own codes, and those of the functions it refers to."""
        found = set()
        for other in self.others(name):
            if other in self.text and other not in seen:
                found |= self.codes(other, (*seen, name))
        return found - set(re.findall(rf"but for ({CODE})", self.text[name])) | self.own(name)


# ---- the table ----


class Table:
    """returns.txt: lines `kind: names: codes: reason`."""

    def __init__(self, text):
        self.system, self.inner, self.pages, self.differ = {}, {}, [], []
        for number, line in enumerate(text.splitlines(), 1):
            line = line.split("#")[0].strip()
            if not line:
                continue
            kind, names, codes, *reason = [part.strip() for part in line.split(":", 3)]
            codes = set(codes.split())
            for name in names.split():
                if kind == "system":
                    self.system[name] = codes
                elif kind == "inner" and reason:
                    self.inner[name] = codes
                elif kind == "page":
                    which, where = reason[0].split()
                    self.pages.append((number, name, codes, which, where))
                elif kind in ("source", "manual") and reason:
                    self.differ.append((number, kind, name, codes))
                else:
                    raise SystemExit(f"{TABLE}:{number}: {line}")

    def of_page(self, name, manual):
        """The codes that returns.txt lists for functions of this page."""
        for _, page, codes, which, _ in self.pages:
            takes_cx = "nart_cx *cx" in manual.args[name]
            if page in (manual.page[name], "*") and (which != "cx" or takes_cx):
                yield from codes


def differences(name, source, manual, table):
    own, system = source.codes((None, name), table.system, table.inner)
    said, page = manual.codes(name), set(table.of_page(name, manual))
    wrong = {"source": own - said - page,
             "manual": manual.own(name) - own - system - page - {"-errno"}}
    if "-errno" not in said | page:
        wrong["source"] |= system - said - page
    return wrong


def bridge_of(headers, rust, own):
    """(codes of the manual, codes of the source) of the bridge; `own` are nart's own codes."""
    text = next(text for path, text in headers.items() if path.name == "tokio.h")
    used = set()
    for source in rust.values():
        code = re.sub(r"//.*|pub const E.*", "", source)
        used |= {"-" + name for name in re.findall(r"libc::(E[A-Z0-9]+)", code)}
        used |= {"NART_" + name for name in re.findall(r"(?<!libc::)\b(E[A-Z_]+)\b", code)} & own
    return set(re.findall(CODE, text)), used


def faults_of(headers, sources, rust, table_text):
    source, manual, table = Source({**sources, **headers}), Manual(headers), Table(table_text)
    used = set()
    for name, codes in table.inner.items():
        for code in sorted(codes - source.codes((None, name), table.system)[0]):
            yield f"{TABLE.name}: inner: {name}: {code}: it does not answer that"
    for number, _, codes, _, where in table.pages:
        for code in sorted(codes):
            if code not in manual.intro[where]:
                yield f"{TABLE.name}:{number}: the first comment of {where} does not say {code}"
    everything = "\n".join([*sources.values(), *headers.values()])
    known = {"-" + name for name in re.findall(r"\bSYS\((E\w+)\)", everything)}
    known |= {"NART_" + name for name in re.findall(r"\bX\((E\w+),", everything)}
    own = {code for code in known if code.startswith("NART_")}
    said, used_by_rust = bridge_of(headers, rust, own)
    bridge = {"source": used_by_rust - said, "manual": said - used_by_rust}
    for name in sorted(manual.answers | {"tokio.h"}):
        if name != "tokio.h" and (None, name) not in source.functions:
            yield f"{manual.page[name]}: {name}() is not in the source"
            continue
        wrong = bridge if name == "tokio.h" else differences(name, source, manual, table)
        for number, kind, which, codes in table.differ:
            if which == name:
                used |= {(number, code) for code in codes & wrong[kind]}
                wrong[kind] -= codes
        for kind, text in ("source", "can be answered and is not in the manual"), \
                          ("manual", "is in the manual and cannot be answered"):
            for code in sorted(wrong[kind]):
                where = name if name == "tokio.h" else f"{manual.page[name]}: {name}()"
                yield f"{where}: {code} {text}"
    for number, kind, which, codes in table.differ:
        for code in sorted(codes):
            if (number, code) not in used:
                yield f"{TABLE.name}:{number}: {which}: {code}: no such difference"
    for code in sorted(set(re.findall(CODE, everything)) - known):
        yield f"{code} has no name in error.c"


def replaced(texts, name, old, new):
    return {path: text.replace(old, new, 1) if path.name == name else text
            for path, text in texts.items()}


def undetected(headers, sources, rust, table):
    """Breaks the rules in turn; yields the undetected faults."""
    body = "*t = nart__rt_task(rt, id);"  # of what cancel and abort call
    last = table.rstrip("\n").rsplit("\nsource:", 1)
    broken = {
        "nothing": (headers, sources, table),
        "the source answers more": (
            headers, replaced(sources, "task.c", body, body + " if (!id.gen) return -EDOM;"), table),
        "a function that it calls answers more": (
            headers, replaced(sources, "slab.c", "return -ENOMEM;", "return -EDOM;"), table),
        "a system call answers more": (
            headers, sources, table.replace("create: -EMFILE", "create: -EDOM -EMFILE")),
        "a code is gone from the manual": (
            replaced(headers, "task.h", "-EDEADLK: its own task;", ""), sources, table),
        "the manual says more": (
            replaced(headers, "task.h", "-EDEADLK:", "-EDOM: never; -EDEADLK:"), sources, table),
        "a page says less": (
            replaced(headers, "task.h", "answers -EPERM", "fails"), sources, table),
        "a difference that is none": (
            headers, sources, last[0] + "\nsource: nart_rt_new: -EDOM: never\nsource:" + last[1]),
        "the bridge answers less": (
            replaced(headers, "tokio.h", "-EDEADLK on", "-EDOM on"), sources, table),
        "a code without a name": (
            headers, replaced(sources, "error.c", "SYS(ECHILD)", ""), table),
    }
    for what, (h, s, text) in broken.items():
        if bool(list(faults_of(h, s, rust, text))) == (what == "nothing"):
            yield f"{'' if what == 'nothing' else 'not '}found out: {what}"


def read(folder, *patterns):
    return {path: path.read_text() for pattern in patterns
            for path in sorted((ROOT / folder).glob(pattern))}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--faults", action="store_true")
    parser.add_argument("--show")
    args = parser.parse_args()
    headers = read("include/nart", "*.h")
    sources = {**read("c_src", "*.c", "*/*.c", "*/*.h"), **read("include/nart/detail", "*.h")}
    rust = {path: text for path, text in read("rust_bridge/src", "*.rs", "*/*.rs", "*/*/*.rs").items()
            if not NOT_FOR_C & set(path.parts)}
    table = TABLE.read_text()
    if args.show:
        source, manual = Source({**sources, **headers}), Manual(headers)
        print("source ", *map(sorted, source.codes((None, args.show), Table(table).system)))
        print("manual ", sorted(manual.codes(args.show)))
        return 0
    faults = list((undetected if args.faults else faults_of)(headers, sources, rust, table))
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
