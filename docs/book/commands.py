#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Does what the book says: runs its commands as a reader types them.

    commands.py HOME [PAGE...]   runs the commands of all pages, or of those named (start.md); the folder HOME is
                                 emptied, and is the reader's home
    commands.py --blocks         every rule of a block holds
    commands.py --faults         each broken rule is detected

Rules of a block
  1. It names its language. Blocks `sh` are commands; a block `text` that follows one is a part of what it prints, `...`
     standing for any text. Both are typed in the page.
  2. Any other block consists of snippets only, each a file of this tree or a section of one.
  3. One with title="FILE" is saved by the reader: the file is in the folder of the next command.

One page is not among these: examples/migrate/chapter.py compares the blocks of migration.md, which are diffs, with its
stages.

Each page begins in ~/nart, which has the files of this tree that git knows. The commands of a page run in one
shell, which stops at the first that fails, on a terminal. Three of them are replaced: port 7000 is one that is free, `nc`
waits until somebody listens there, and a workflow of cmake is only looked for, because a test that runs all tests
would not end.
"""
import pathlib
import re
import shutil
import socket
import subprocess
import sys
import os

sys.path.insert(0, str(pathlib.Path(__file__).parent / "programs"))
from run import differs, on_a_terminal  # noqa: E402

BOOK = pathlib.Path(__file__).resolve().parent
ROOT = BOOK.parents[1]
FENCE = re.compile(r"^( *)(```+) ?(\S*)(?: .*title=\"([^\"]+)\".*| *)$")
SNIPPET = re.compile(r'^--8<-- "([\w/.+-]+?)(?::([a-z][-_0-9a-z]*))?"$')
MARK = re.compile(r"^.*--8<-- \[(start|end): ?([-_0-9a-z]+)\].*$")
RAN = "\x1e"
ELSEWHERE = ("migration.md",)

SHELL = r"""
set -eu
nc() {
    until grep -q "$(printf ':%04X 00000000:0000 0A' 7000)" /proc/net/tcp; do :; done
    command nc "$@"
}
cmake() {
    case "$*" in
    "--workflow --preset "*) command cmake --list-presets=workflow | grep -q "^ *\"$3\"" ;;
    *) command cmake "$@" ;;
    esac
}
cd "$HOME/nart"
"""


class Fault(Exception):
    pass


class Block:
    def __init__(self, page, number, language, title):
        self.place, self.language, self.title = f"{page}:{number}", language, title
        self.lines = []

    def text(self):
        return "".join(line + "\n" for line in self.lines)

    def content(self):
        """With its snippets."""
        return "".join(line for typed in self.lines for line in snippet(self.place, typed))


def snippet(place, typed):
    """The lines that a line of a block stands for."""
    match = SNIPPET.match(typed)
    if not match:
        raise Fault(f"{place}: typed in the page, not in a program: {typed}")
    path, section = match.groups()
    if not (ROOT / path).is_file():
        raise Fault(f"{place}: there is no file {path}")
    lines, inside = [], section is None
    for line in (ROOT / path).read_text().splitlines(keepends=True):
        mark = MARK.match(line)
        if mark and mark.group(2) == section:
            inside = mark.group(1) == "start"
        elif inside and not mark:
            lines.append(line)
    if not lines:
        raise Fault(f"{place}: {path} has no section {section}")
    indents = [len(line) - len(line.lstrip()) for line in lines if line.strip()]
    return [line[min(indents):] or "\n" for line in lines] if section else lines


def blocks_of(page, text):
    block, indent, fence = None, "", ""
    for number, line in enumerate(text.splitlines(), 1):
        if block and line.strip() == fence:
            yield block
            block = None
        elif block:
            block.lines.append(line.removeprefix(indent))
        elif line.lstrip().startswith("```"):
            match = FENCE.match(line)
            if not match or not match.group(3):
                raise Fault(f"{page}:{number}: a block without a language")
            indent, fence, language, title = match.groups()
            block = Block(page, number, language, title)
    if block:
        raise Fault(f"{block.place}: a block without an end")


def check(page, text):
    """The blocks of a page, which keep the rules."""
    blocks = list(blocks_of(page, text))
    for before, block in zip([None, *blocks], blocks):
        typed = block.language == "sh" or (block.language == "text" and before and before.language == "sh")
        if not typed:
            block.content()
        elif block.title:
            raise Fault(f"{block.place}: only what is in a file can be saved")
    return blocks


def pages():
    names = re.findall(r"^ +- .*: ([\w-]+\.md)$", (BOOK / "mkdocs.yml").read_text(), re.MULTILINE)
    assert names, "mkdocs.yml names no page"
    return {name: (BOOK / "src" / name).read_text() for name in names if name not in ELSEWHERE}


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


def script_of(blocks):
    """A script that does what the page says, and writes RAN after each block of commands."""
    script = SHELL
    for block in blocks:
        if block.title:
            script += f"cat >'{block.title}' <<'END OF FILE'\n{block.content()}END OF FILE\n"
        elif block.language == "sh":
            script += f"{block.text()}printf '{RAN}'\n"
    return re.sub(r"\b7000\b", free_port(), script)


def environment(home):
    """Tools that are installed in the real home stay where they are."""
    real = pathlib.Path.home()
    tools = {"CARGO_HOME": ".cargo", "RUSTUP_HOME": ".rustup", "PYENV_ROOT": ".pyenv", "CCACHE_DIR": ".cache/ccache"}
    kept = {name: os.environ.get(name, str(real / folder)) for name, folder in tools.items()}
    return {**{k: v for k, v in os.environ.items() if v or k != "CMAKE_C_COMPILER_LAUNCHER"}, **kept, "HOME": str(home)}


def clone(folder):
    known = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if known.returncode != 0:  # an archive of the sources
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns("build", "target"))
        return
    for name in filter(None, known.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)


def run(page, text, home):
    blocks = check(page, text)
    commands = [block for block in blocks if block.language == "sh"]
    if not commands:
        return
    script = home / "commands.sh"
    script.write_text(script_of(blocks))
    status, output = on_a_terminal(["sh", str(script)], env=environment(home))
    outputs = output.split(RAN)
    for block, after, out in zip(commands, outputs, outputs):
        print(f"---- {block.place}\n{after}", end="")
    if status != 0:
        raise Fault(f"{page}: status {status} in the block at {commands[len(outputs) - 1].place}\n{outputs[-1]}")
    for before, block in zip(blocks, blocks[1:]):
        if before.language == "sh" and block.language == "text":
            fault = differs(f"...{block.text()}...", outputs[commands.index(before)])
            if fault:
                raise Fault(f"{block.place}: other output\n{fault}")


FAULTS = {
    "no language": "```\nint i;\n```\n",
    "no end": "```sh\ntrue\n",
    "typed code": "```c\nint i;\n```\n",
    "no such file": '```c\n--8<-- "docs/none.c"\n```\n',
    "no such section": '```c\n--8<-- "docs/book/programs/hello.c:none"\n```\n',
    "typed output that nothing prints": "```text\nhello\n```\n",
    "a typed file": '```sh title="a.sh"\ntrue\n```\n',
    "a failing command": "```sh\ntrue\nfalse\ntrue\n```\n",
    "a failing command before the last": "```sh\nfalse\n```\n\n```sh\ntrue\n```\n",
    "other output": "```sh\necho one\n```\n\n```text\ntwo\n```\n",
    "a workflow that does not exist": "```sh\ncmake --workflow --preset none\n```\n",
}
CORRECT = ('```sh\ntest -f README.md\nmkdir own && cd own\n```\n```c title="a.c"\n--8<-- "docs/book/programs/hello.c"\n```\n'
           "```sh\ngrep nart a.c\n```\n```text\n...nart.h...\n```\n")


def faults(home):
    run("correct.md", CORRECT, home)
    for name, text in FAULTS.items():
        try:
            run(f"{name}.md", text, home)
        except Fault:
            continue
        raise Fault(f"not detected: {name}")


def main():
    try:
        if sys.argv[1] == "--blocks":
            for page, text in pages().items():
                check(page, text)
            return
        work = faults if sys.argv[1] == "--faults" else None
        home = pathlib.Path(sys.argv[2 if work else 1]).resolve()
        shutil.rmtree(home, ignore_errors=True)
        clone(home / "nart")
        if work:
            work(home)
            return
        for page, text in pages().items():
            if len(sys.argv) == 2 or page in sys.argv[2:]:
                run(page, text, home)
    except Fault as fault:
        sys.exit(str(fault))


if __name__ == "__main__":
    main()
