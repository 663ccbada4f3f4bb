# SPDX-License-Identifier: MIT OR Apache-2.0
"""diffs.py LIMIT STAGE...: the diff from each stage to the next one fits a screen.

A stage is a list of files, separated by commas. Prints the numbers of changed lines."""
import subprocess
import sys
import tempfile


def changed(before, after):
    """The number of lines that are removed or added."""
    with tempfile.TemporaryDirectory() as folder:
        for name, files in (("before", before), ("after", after)):
            with open(f"{folder}/{name}", "w") as out:
                out.writelines(line for file in files for line in open(file))
        diff = subprocess.run(["diff", "-d", "before", "after"], cwd=folder, stdout=subprocess.PIPE, text=True)
    if diff.returncode != 1:
        raise SystemExit(f"diff: status {diff.returncode}")
    return sum(line.startswith(("<", ">")) for line in diff.stdout.splitlines())


def main():
    limit, stages = int(sys.argv[1]), [stage.split(",") for stage in sys.argv[2:]]
    sizes = [changed(*pair) for pair in zip(stages, stages[1:])]
    print("changed lines:", *sizes)
    if not sizes or max(sizes) > limit:
        raise SystemExit(f"more than {limit} lines")


if __name__ == "__main__":
    main()
