#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""clients.py [--smoke | --count COUNTER] REDIS NGINX NAME=PROGRAM...: hiredis and libcurl on nart's loop and on others.

PING over a Unix socket, with 1 and with 64 commands in flight, in ns per command; 8 transfers at a time of 50 MB each,
in ms; and the processor time that the program itself takes for each. The programs take turns; prints medians, and in
parentheses the ratio of the first program's to it.
--smoke: each once, and briefly.
--count: the system calls of a PING with 1 in flight, counted by COUNTER. The first program may make one more per event
than the last one; a PING has two events, one of writing and one of reading."""
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "examples/adapters"))
import servers  # noqa: E402

ROUNDS, WARM_UP = 9, 1
PINGS = {1: 30_000, 64: 300_000}
SIZE = 50_000_000


def measure(program, *arguments):
    return [float(figure) for figure in subprocess.check_output([program, *map(str, arguments)], text=True).split()]


def compare(title, arguments, unit):
    """Runs the programs in turn, each round beginning with another one."""
    names = list(programs)
    runs = {name: [] for name in names}
    for i in range(WARM_UP + ROUNDS if not smoke else 1):
        for name in names[i % len(names):] + names[:i % len(names)]:
            runs[name].append(measure(programs[name], *arguments))
    for i, what in enumerate(("", ", processor")):
        medians = {n: statistics.median(run[i] for run in r[WARM_UP:] or r) / unit for n, r in runs.items()}
        first = medians[names[0]]
        print(title + what, "  ".join(f"{n} {m:,.1f} ({first / m:.2f})" for n, m in medians.items()), flush=True)


def pings(path):
    for in_flight, n in PINGS.items():
        compare(f"ping_{in_flight}, ns", ("ping", path, n if not smoke else 1000, in_flight), 1)


def transfers(url):
    compare("transfer_8, ms", ("transfer", url + "/big", 8), 1e6)


def count(path):
    """System calls per PING: the difference of two runs, without what a program does before and after."""
    calls = {}
    for name, program in programs.items():
        runs = [measure(counter, program, "ping", path, n, 1)[0] for n in (1000, 2000)]
        calls[name] = (runs[1] - runs[0]) / 1000
    print("system calls per PING:", calls)
    names = list(programs)
    if calls[names[0]] > calls[names[-1]] + 2:
        raise SystemExit(f"{names[0]} makes more than one system call per event more than {names[-1]}")


arguments = sys.argv[1:]
smoke = arguments[0] == "--smoke"
counter = arguments[1] if arguments[0] == "--count" else None
arguments = arguments[2 if counter else smoke:]
redis, nginx, *rest = arguments
programs = dict(argument.split("=", 1) for argument in rest)
with tempfile.TemporaryDirectory() as folder:
    servers.redis(redis, folder, count if counter else pings)
if not counter:
    with tempfile.TemporaryDirectory() as folder:
        servers.curl(nginx, folder, transfers, SIZE if not smoke else 1_000_000)
