# SPDX-License-Identifier: MIT OR Apache-2.0
"""The ledger of what was proved, ledger.txt: which proof passed, over exactly which sources.

 1. A line is `<proof> <digest> <items> <date>`. The digest is over everything that the answer depends
    on: every file that the compiler reads (its own -M says which), the commands, the versions of the
    compilers, the engine, the lists, the scripts. In C, Python and the lists comments and layout are
    left out, so a better sentence does not ask for a new proof.
 2. A proof whose line has the digest of today is run in part: one item of ten, by the date, so that in
    ten days of daily runs each has its turn. So a line that nobody earned is found out, too.
 3. Only a proof that was run whole, and held, over sources that are still the same at its end, writes its
    line. One that failed takes its line out.
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
    """C as the compiler sees it: lines joined, no comments, one space for many. Strings stay."""
    text = re.sub(r"\\[^\S\n]*\n", "", text)
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
    for name, file in sorted(names.items()): # independent of the folder of the tree
        h.update(f"{name}\0{meaning(file)}\0".encode(errors="surrogateescape"))
    return h.hexdigest()[:32]


def said_by(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def version_of(compiler):
    """Without its own name, which is cc or gcc by chance."""
    return said_by(compiler, "--version").partition(" ")[2]


def rust_compilers(cargo):
    """Cargo and rustc, and what the environment tells them."""
    flags = [os.environ.get(name, "") for name in ("RUSTFLAGS", "CARGO_ENCODED_RUSTFLAGS")]
    return [version_of(cargo), said_by(os.environ.get("RUSTC", "rustc"), "-vV"), *flags]


def rust_files(folder):
    """What cargo makes a crate of the models of."""
    files = [MODELS / "Cargo.toml", MODELS / "Cargo.lock", MODELS / ".cargo" / "config.toml"]
    return [f for f in [*files, *folder.glob("**/*")] if f.is_file() and not {"__pycache__", "target"} & set(f.parts)]


def without_settings():
    """loom takes bounds from the environment: a search that ends early would count as a proof."""
    for name in [name for name in os.environ if name.startswith("LOOM_")]:
        del os.environ[name]


KILLED_ITSELF = {-signal.SIGABRT, -signal.SIGSEGV, -signal.SIGBUS, -signal.SIGILL, -signal.SIGFPE}


def holds(command, **more):
    """Whether a scenario ends with 0. Anything that says neither yes nor no is an error."""
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
    """This proof was run whole, and held; or it has failed."""
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
    """One line of the ledger: its items, which of them are run today, and how that went. `digest` is a
    function, called before what it is of is used, and once more at the end.

    NART_PROVE=whole in the environment asks for all items, NART_PROVE_DAY=<number> for another day's.
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
        if self.digest() != self.of:
            print(f"{self.name}: its sources have changed meanwhile: run it again", flush=True)
            return False
        if self.bad or self.today is self.items:
            record(self.name, self.of, len(self.items), self.bad == 0)
        return self.bad == 0
