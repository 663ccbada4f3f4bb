# SPDX-License-Identifier: MIT OR Apache-2.0
"""The mutants of a suite's files: each breaks them in a way that the model must detect.

1. Each memory order in the given files, weakened in every way: acq_rel to acquire, to release and to
   relaxed; acquire and release to relaxed.
2. Those listed in mutants/<suite>.txt: decisions taken without one read-modify-write, omitted steps.
3. Without those that equivalents.txt proves to change nothing.
"""

import re

from ledger import MODELS, ROOT, meaning

WEAKER = {
    "ACQUIRE": ["RELAXED"],
    "RELEASE": ["RELAXED"],
    "ACQ_REL": ["ACQUIRE", "RELEASE", "RELAXED"],
}


class Mutant:
    """A file of the tree with one defect."""

    def __init__(self, name, file, text):
        self.name, self.file, self.text = name, file, text


def blank_comments(text):
    """The text with comments as spaces, so that positions stay the same."""
    return re.sub(r"/\*.*?\*/|//(?:\\\n|[^\n])*", lambda m: re.sub(r"[^\n]", " ", m[0]), text, flags=re.S)


def function_at(code, place):
    """The name of the function around a position: its definition begins at the start of a line."""
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


def list_of(suite):
    return MODELS / "mutants" / f"{suite}.txt"


def listed_mutants(suite):
    """Blocks of `[name] file`, the code to remove after '-', the code to insert after '+'."""
    path = list_of(suite)
    if not path.exists():
        return
    block = re.compile(r"^\[(\w+)\] (\S+)\n((?:-[^\n]*\n)+)((?:\+[^\n]*\n)*)", flags=re.M)
    listed = meaning(path) + "\n" # as in the digest
    if block.sub("", listed).strip():
        raise ValueError(f"{path}: no mutant can be made of: {block.sub('', listed).strip()}")
    for name, file, out, put in block.findall(listed):
        text = (ROOT / file).read_text()
        out = re.sub(r"^-", "", out, flags=re.M)
        put = re.sub(r"^\+", "", put, flags=re.M)
        places = places_of(out, blank_comments(text))
        if len(places) != 1:
            raise ValueError(f"{path}: {name}: its code is in {file} {len(places)} times, not once")
        [(start, end)] = places
        yield Mutant(name, file, text[:start] + put + text[end:])


def equivalents():
    """Lines without indentation name mutants; indented lines are their proofs."""
    lines = (MODELS / "equivalents.txt").read_text().splitlines()
    return [line for line in lines if line and not line[0].isspace() and line[0] != "#"]


def mutants_of(suite, mutate):
    """The mutants to kill, the number of those proved equivalent, and entries of that list that name none."""
    known = equivalents()
    mutants = [m for where in mutate for m in order_mutants(where)] + list(listed_mutants(suite))
    files = {where.partition(":")[0] for where in mutate}
    names = {m.name for m in mutants} | {m.name for file in files for m in order_mutants(file)}
    stray = [e for e in known if e.split()[0] in files and e not in names]
    return [m for m in mutants if m.name not in known], sum(m.name in known for m in mutants), stray
