# SPDX-License-Identifier: MIT OR Apache-2.0
"""stages.py FOLDER EXTENSION FILE[:STAGE]...: a step of a migration fits a screen.

A migration is the programs stage0 to stage4 in FOLDER, and other files, each from a stage on. From one stage
to the next one no file changes by more than LIMIT lines, and a new file has no more lines than that. Prints
the number of changed lines of each step."""
import pathlib
import subprocess
import sys

LIMIT = 100


def diff(before, after):
    """The lines that differ, each with a first character - or +."""
    done = subprocess.run(["diff", "-d", "-U", "0", before, after], stdout=subprocess.PIPE, text=True)
    if done.returncode != 1:
        raise SystemExit(f"{before} and {after} do not differ: status {done.returncode}")
    return [line for line in done.stdout.splitlines()[2:] if line[0] in "-+"]


def steps(folder, extension, files):
    """For each step {name of a file: its changed lines}."""
    for stage in range(1, 5):
        before, after = (f"{folder}/stage{n}{extension}" for n in (stage - 1, stage))
        step = {pathlib.Path(after).name: diff(before, after)}
        for file, begin in files.items():
            if begin == stage:
                step[pathlib.Path(file).name] = diff("/dev/null", file)
        yield step


def main():
    folder, extension, *files = sys.argv[1:]
    files = {file: int(begin) for file, _, begin in (f.partition(":") for f in files)}
    large = []
    for step in steps(folder, extension, files):
        sizes = {name: len(lines) for name, lines in step.items()}
        print(sizes)
        large += [name for name, size in sizes.items() if size > LIMIT]
    if large:
        raise SystemExit(f"more than {LIMIT} lines: {' '.join(large)}")


if __name__ == "__main__":
    main()
