# SPDX-License-Identifier: MIT OR Apache-2.0
"""measure.py LOAD LINE FIRST LAST [ARGUMENT]...: compares two servers, for people; no test calls this.

Starts FIRST and LAST in turn, RUNS times, and lets CLIENTS clients send LINE. Prints the medians of all runs,
and LAST divided by FIRST. The processor time is that of the server for one round trip, its system calls
included: other work on the machine disturbs it least."""
import os
import pathlib
import statistics
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from wire import Server  # noqa: E402

RUNS, CLIENTS, ROUNDS = 15, 16, 5000
COLUMNS = ("round trips/s", "p50 us", "p99 us", "processor us")


def processor(pid):
    """The seconds that a process has used."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def once(load, line, command):
    with Server(*command) as server:
        arguments = (load, str(server.port), str(CLIENTS))
        run(*arguments, "100", line)
        before = processor(server.process.pid)
        rate, p50, p99 = map(float, run(*arguments, str(ROUNDS), line).split())
        used = processor(server.process.pid) - before
        return rate, p50 / 1e3, p99 / 1e3, used * 1e6 / (CLIENTS * ROUNDS)


def main():
    load, line, first, last, *arguments = sys.argv[1:]
    runs = {first: [], last: []}
    for _ in range(RUNS):
        for program, results in runs.items():
            results.append(once(load, line, (program, *arguments)))
    medians = {program: [statistics.median(c) for c in zip(*results)] for program, results in runs.items()}
    width = max(map(len, map(os.path.basename, runs)))
    print(" " * width, *(f"{c:>15}" for c in COLUMNS))
    for program, values in medians.items():
        print(f"{os.path.basename(program):{width}}", *(f"{v:15.1f}" for v in values))
    ratios = [b / a for a, b in zip(medians[first], medians[last])]
    print(f"{'last / first':{width}}", *(f"{r:15.2f}" for r in ratios))


if __name__ == "__main__":
    main()
