# SPDX-License-Identifier: MIT OR Apache-2.0
"""The ledger of what was proved, ledger.txt: which proof passed, over exactly which sources.

 1. A line is `<proof> <digest> <items> <date>`. The digest is over everything that the answer depends
    on: every file that the compiler reads (its own -M says which), the commands, the versions of the
    compilers, the engine, the lists, the scripts. In C, Python and the lists comments and layout are
    left out, so a better sentence does not ask for a new proof.
 2. A proof whose line has the digest of today is run in part: one item of ten, by the date, so that in
    ten days each has its turn. So a line that nobody earned is found out, too.
 3. Only a proof that was run whole, and held, writes its line.
"""

import ast
import datetime
import fcntl
import hashlib
import os
import pathlib
import re
import subprocess
import zlib

MODELS = pathlib.Path(__file__).resolve().parent
ROOT = MODELS.parent.parent
FILE = MODELS / "ledger.txt"
SHARES = 10

HEAD = """\
# What was proved, and over which sources: see ledger.py. Written by prove.py, never by hand.
"""


def without_comments(text):
    """C as the compiler sees it: no comments, one space for many. Strings stay as they are."""
    token = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\\n])\'|//[^\n]*|/\*.*?\*/|[^\S\n]+|\s*\n\s*'

    def plain(m):
        if m[0][0] in "\"'":
            return m[0]
        return "\n" if m[0].isspace() and "\n" in m[0] else " "

    text = re.sub(token, plain, text, flags=re.S)
    return re.sub(r"[^\S\n]*\n\s*", "\n", text)


def meaning(path):
    """What of a file can change an answer."""
    text = path.read_text(errors="surrogateescape")
    if not path.is_relative_to(ROOT):
        return text
    if path.suffix in (".c", ".h", ".hpp", ".cpp"):
        return without_comments(text)
    if path.suffix == ".py":
        return ast.unparse(ast.parse(text))
    if path.parent.name == "mutants":
        return "\n".join(line for line in text.splitlines() if line and line[0] != "#")
    return text


def digest(texts, files):
    """Of texts, and of files by their names in the tree and what they mean."""
    h = hashlib.sha256()
    for text in texts:
        h.update(text.encode(errors="surrogateescape") + b"\0")
    names = {str(f.relative_to(ROOT) if f.is_relative_to(ROOT) else f): f for f in files}
    for name, file in sorted(names.items()): # whatever folder the tree is in
        h.update(f"{name}\0{meaning(file)}\0".encode(errors="surrogateescape"))
    return h.hexdigest()[:32]


def said_by(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def version_of(compiler):
    """Without its own name, which is cc or gcc by chance."""
    return said_by(compiler, "--version").partition(" ")[2]


def read_by(compiler, flags, source):
    """The files that a compilation reads."""
    rule = said_by(compiler, *flags, "-M", str(source))
    _, _, names = rule.replace("\\\n", " ").partition(": ")
    names = re.findall(r"(?:\\.|[^\s\\])+", names) # a space in a name has a backslash before it
    return [pathlib.Path(re.sub(r"\\(.)", r"\1", name)).resolve() for name in names]


def lines():
    """{proof: (digest, items, date)}"""
    known = {}
    if FILE.exists():
        for line in FILE.read_text().splitlines():
            if not line or line[0] == "#":
                continue
            m = re.fullmatch(r"(\S+) ([0-9a-f]{32}) (\d+) (\d{4}-\d\d-\d\d)", line)
            if not m or m[1] in known:
                raise ValueError(f"{FILE}: take out the line {line!r}: it is not one of prove.py's")
            known[m[1]] = (m[2], int(m[3]), m[4])
    return known


def record(proof, of, items):
    """This proof was run whole, and held."""
    with open(MODELS / "ledger.py") as lock: # several suites may end at once
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = lines()
        if known.get(proof, ())[:2] == (of, items):
            return # proved before: the line keeps its date
        known[proof] = (of, items, datetime.date.today().isoformat())
        text = "".join(f"{name} {d} {n} {date}\n" for name, (d, n, date) in sorted(known.items()))
        FILE.write_text(HEAD + text)


class Proof:
    """One line of the ledger: its items, which of them are run today, and how that went.

    NART_PROVE=whole in the environment asks for all items, NART_PROVE_DAY=<number> for another day's.
    """

    def __init__(self, name, of, items):
        self.name, self.of, self.items, self.bad = name, of, items, 0
        known = lines().get(name)
        self.today = items
        if os.environ.get("NART_PROVE") == "whole":
            self.why = "all are asked for"
        elif known is None:
            self.why = "never proved"
        elif known[:2] != (of, len(items)):
            self.why = f"what it depends on has changed since {known[2]}"
        else:
            day = int(os.environ.get("NART_PROVE_DAY", datetime.date.today().toordinal()))
            self.today = items[(day + zlib.crc32(name.encode())) % SHARES :: SHARES]
            self.why = f"unchanged since it was proved on {known[2]}"

    def only(self, chosen):
        """By hand: these, and nothing is recorded."""
        self.today, self.why = chosen, "chosen by hand"

    def says(self, text, good):
        """An item's result, as it comes."""
        print(text, flush=True)
        self.bad += not good

    def ends(self):
        """Whether today's items were as they have to be."""
        print(f"{self.name}: {len(self.today)} of {len(self.items)} run, {self.bad} failed: {self.why}",
              flush=True)
        if self.bad == 0 and self.today is self.items:
            record(self.name, self.of, len(self.items))
        return self.bad == 0
