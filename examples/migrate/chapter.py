# SPDX-License-Identifier: MIT OR Apache-2.0
"""chapter.py PAGE [--faults]: what docs/book/src/migration.md shows is what is in the files.

1. A block ```diff names two files; its other lines are lines of their diff: the removed ones in that order,
   and the added ones.
2. A table row of a stage has the number of lines by which the file changes.
3. A command `diff` of a block ```sh finds a difference, and a target that one builds exists.
4. A link leads to a file.
--faults: alters the page; each fault must be found."""
import pathlib
import re
import subprocess
import sys

import stages

ROOT = pathlib.Path(__file__).resolve().parents[2]


def blocks(text, language):
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def diff_faults(block):
    lines = block.splitlines()
    before, after = (ROOT / line.split()[1] for line in lines[:2])
    changed = stages.diff(before, after)
    rest = {sign: iter([line for line in changed if line[0] == sign]) for sign in "-+"}
    return [line for line in lines[2:] if not any(line == other for other in rest[line[0]])]


def row_faults(text):
    for path, size in re.findall(r"^\| \[stage\d\.\w+\]\((?:\.\./)+(\S+)\) \|.*\| (\d*) ?\|$", text, re.MULTILINE):
        number = int(re.search(r"stage(\d)", path)[1])
        before = ROOT / path.replace(f"stage{number}", f"stage{number - 1}")
        if size != (str(len(stages.diff(before, ROOT / path))) if number > 0 else ""):
            yield f"{path}: not {size or 'empty'}"


def command_faults(text):
    lists = "".join(path.read_text() for path in ROOT.glob("examples/migrate*/CMakeLists.txt"))
    for command in "".join(blocks(text, "sh")).splitlines():
        if command.startswith("diff "):
            if subprocess.run(command.split(), cwd=ROOT, stdout=subprocess.DEVNULL).returncode != 1:
                yield command
        elif "--target" in command:
            names = command.partition("--target ")[2].split()
            yield from (name for name in names if f"add_custom_target({name}\n" not in lists)


def faults(text):
    for block in blocks(text, "diff"):
        yield from diff_faults(block)
    yield from row_faults(text)
    yield from command_faults(text)
    links = re.findall(r"\]\(([^)#]+)\)", text)
    yield from (link for link in links if not (ROOT / "docs/book/src" / link).exists())


ALTERED = {
    "a line of a diff": ("+        board_beat(++b->number);", "+        board_beat(b->number++);"),
    "the order of removed lines": ("-static void on_beat(uv_timer_t *timer)\n-    board_beat(++beats);",
                                   "-    board_beat(++beats);\n-static void on_beat(uv_timer_t *timer)"),
    "a line that is added, not removed": ("+        board_beat(++b->number);", "-        board_beat(++b->number);"),
    "a number": ("| 64 |", "| 65 |"),
    "a diff that is none": ("examples/migrate_uv/stage1.c\n```", "examples/migrate_uv/stage0.c\n```"),
    "a target": ("migrate-uv-measure", "migrate-uv-measures"),
    "a link": ("(../../../examples/migrate_uv)", "(../../../examples/migrated)"),
}


def main():
    text = pathlib.Path(sys.argv[1]).read_text()
    found = list(faults(text))
    if "--faults" in sys.argv:
        found = [f"not found: {what}" for what, (old, new) in ALTERED.items()
                 if old not in text or not list(faults(text.replace(old, new, 1)))]
    elif not blocks(text, "diff"):
        found.append("no diff")
    print("\n".join(found))
    return len(found) > 0


if __name__ == "__main__":
    sys.exit(main())
