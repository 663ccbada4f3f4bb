# SPDX-License-Identifier: MIT OR Apache-2.0
"""The ledger of proofs, ledger.txt: which proof passed, and over exactly which sources.

1. A line is `<proof> <digest> <items> <date>`. The digest covers everything that the result depends on:
   each file that the compiler reads (from its -M), the commands, the versions of the compilers, the
   engine, the lists, the scripts. It ignores comments and layout in C, Python and the lists, so that a
   reworded comment does not require a new proof.
2. If the digest of a proof has not changed, only one item in ten is run, selected by the date: ten daily
   runs cover all of them. This also detects a line that no proof has written.
3. A proof writes its line only if all its items were run and passed, and the sources are still the same
   at its end. A proof that fails removes its line.
"""

import ast
import datetime
import fcntl
import hashlib
import os
import pathlib
import re
import signal
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
    """C source with lines joined, without comments, each run of white space as one space. Strings stay."""
    text = re.sub(r"\\[^\S\n]*\n", "", text)
    token = r'"(?:\\.|[^"\\])*"|\'(?:\\.|[^\'\\\n])\'|//[^\n]*|/\*.*?\*/|[^\S\n]+|\s*\n\s*'

    def plain(m):
        if m[0][0] in "\"'":
            return m[0]
        return "\n" if m[0].isspace() and "\n" in m[0] else " "

    text = re.sub(token, plain, text, flags=re.S)
    return re.sub(r"[^\S\n]*\n\s*", "\n", text)


def meaning(path):
    """The part of a file that can change a result."""
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
    """The digest of texts, and of files: of their names in the tree and their meaning()."""
    h = hashlib.sha256()
    for text in texts:
        h.update(text.encode(errors="surrogateescape") + b"\0")
    names = {str(f.relative_to(ROOT) if f.is_relative_to(ROOT) else f): f for f in files}
    for name, file in sorted(names.items()): # independent of the folder of the tree
        h.update(f"{name}\0{meaning(file)}\0".encode(errors="surrogateescape"))
    return h.hexdigest()[:32]


def said_by(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def version_of(compiler):
    """The version without the name of the command, which may be cc or gcc."""
    return said_by(compiler, "--version").partition(" ")[2]


def rust_compilers(cargo):
    """The versions of cargo and rustc, and their settings in the environment."""
    flags = [os.environ.get(name, "") for name in ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS")]
    return [version_of(cargo), said_by(os.environ.get("RUSTC", "rustc"), "-vV"), *flags]


def rust_files(folder):
    """The files from which cargo builds a crate of the models."""
    files = [MODELS / "Cargo.toml", MODELS / "Cargo.lock", MODELS / ".cargo" / "config.toml"]
    return [f for f in [*files, *folder.glob("**/*")] if f.is_file() and not {"__pycache__", "target"} & set(f.parts)]


def without_settings():
    """The environment without loom's bounds: a search that ends early is no proof."""
    for name in [name for name in os.environ if name.startswith("LOOM_")]:
        del os.environ[name]


KILLED_ITSELF = {-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE}


def holds(command, **more):
    """Whether a scenario exits with 0. Any status but 0 and 1 is an error."""
    code = subprocess.run(command, **more).returncode
    if code == -signal.SIGXCPU:
        raise ValueError(f"{command} does not end: lower its bounds")
    if code == 2 or (code < 0 and code not in KILLED_ITSELF):
        raise ValueError(f"{command} gives no verdict: it ended with {code}")
    return code == 0


def read_by(compiler, flags, source):
    """The files that a compilation reads."""
    rule = said_by(compiler, *flags, "-M", str(source))
    _, _, names = rule.replace("\\\n", " ").partition(": ")
    names = re.findall(r"(?:\\.|[^\s\\])+", names) # a backslash escapes a space in a name
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


def record(proof, of, items, held):
    """Records that a whole proof passed, or that it failed."""
    with open(MODELS / "ledger.py", "r+") as lock: # several suites may end concurrently
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = lines()
        if held and known.get(proof, ())[:2] != (of, items): # otherwise the date stays
            known[proof] = (of, items, datetime.date.today().isoformat())
        elif not held and known.get(proof, ())[:1] == (of,):
            del known[proof]
        text = "".join(f"{name} {d} {n} {date}\n" for name, (d, n, date) in sorted(known.items()))
        new = FILE.with_suffix(".new")
        new.write_text(HEAD + text)
        os.replace(new, FILE) # atomic: a reader sees the old file or the new one


class Proof:
    """One line of the ledger: its items, those to run today, and their results. `digest` is a function,
    called before the sources are used and once more at the end.

    In the environment, NART_PROVE=whole selects all items, NART_PROVE_DAY=<number> those of another day.

    """

    def __init__(self, name, digest, items):
        if not items:
            raise ValueError(f"{name} has nothing to prove")
        self.name, self.digest, self.items, self.bad = name, digest, items, 0
        self.of = of = digest()
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
        """Selects items by hand. Nothing is recorded."""
        self.today, self.why = chosen, "chosen by hand"

    def says(self, text, good):
        """Prints the result of an item."""
        print(text, flush=True)
        self.bad += not good

    def ends(self):
        """Whether all of today's items passed."""
        print(f"{self.name}: {len(self.today)} of {len(self.items)} run, {self.bad} failed: {self.why}",
              flush=True)
        if self.digest() != self.of:
            print(f"{self.name}: its sources have changed meanwhile: run it again", flush=True)
            return False
        if self.bad or self.today is self.items:
            record(self.name, self.of, len(self.items), self.bad == 0)
        return self.bad == 0
