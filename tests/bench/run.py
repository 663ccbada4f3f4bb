#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs the benchmark: nart and its peers in turn, row by row, and compares medians.

  run.py --program build/.../bench_nart --program build/.../peer_c --peers tests/bench/peers

Every program prints JSON lines (row, peer, value, unit) for its `row=count` arguments. For each row
its programs run in turn, --runs times, each time starting with another one, so that other load on the
machine affects all of them. Single-threaded rows are pinned to one processor, the same for all. A
program that crashes or hangs loses only its own figure: the table marks it, and the reason is printed
below.
"""

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
from pathlib import Path

import chart
import machine
from rows import EXTRA_GOALS, ROWS


def parse():
    p = argparse.ArgumentParser(description="nart and its peers, medians and ratios")
    p.add_argument("--program", action="append", default=[], type=Path, help="a compiled program")
    p.add_argument("--skipped", action="append", default=[], help="what is missing, and why")
    p.add_argument("--peers", type=Path, help="folder of the Rust peers; built with cargo")
    p.add_argument("--target-dir", type=Path, default=Path("build/cargo-peers"))
    p.add_argument("--out", type=Path, default=Path("build/bench"))
    p.add_argument("--rows", help="comma-separated; default: all")
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--quick", action="store_true", help="one short run: proves that it works")
    return p.parse_args()


def build_rust(peers, target_dir, notes):
    """Builds nexus and tokio. Returns the programs; a failed build becomes a note."""
    programs = []
    for folder in sorted(peers.glob("*/Cargo.toml")):
        name = "peer_" + folder.parent.name
        cmd = ["cargo", "build", "--release", "--locked", "--manifest-path", str(folder),
               "--target-dir", str(target_dir)]
        try:
            done = subprocess.run(cmd, stderr=subprocess.PIPE, text=True)
        except OSError as e:
            notes.append(f"{name}: cargo: {e.strerror}")
            continue
        if done.returncode == 0:
            programs += [p for p in sorted((target_dir / "release").glob(name + "*"))
                         if not p.suffix]
        else:
            notes.append(f"{name}: not built: {last_line(done.stderr)}")
    return programs


def last_line(text):
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else "no message"


def rows_of(program):
    listed = subprocess.run([program, "--list"], stdout=subprocess.PIPE, text=True, check=True)
    return set(listed.stdout.split())


class Figures:
    """The measurements: values[row][peer] is a list, in order of measurement; failed[row][peer]
    is the reason why it ended early."""

    def __init__(self):
        self.values = {}
        self.units = {}
        self.failed = {}

    def add(self, line):
        f = json.loads(line)
        self.units[f["row"]] = f["unit"]
        self.values.setdefault(f["row"], {}).setdefault(f["peer"], []).append(f["value"])

    def medians(self, row):
        return {peer: statistics.median(v) for peer, v in self.values[row].items()}


PEER_MEMORY = 4 << 30  # bytes: a faulty peer may otherwise exhaust the memory


def confine(cpus, is_peer):
    """Runs in the new process, before exec."""
    os.sched_setaffinity(0, cpus)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))  # tcp_echo_1000
    if is_peer:
        resource.setrlimit(resource.RLIMIT_DATA, (PEER_MEMORY, PEER_MEMORY))


def run_once(program, row, count, figures):
    """Returns None, or the reason why there is no figure."""
    allowed = os.sched_getaffinity(0)
    cpus = {max(allowed)} if row.cpus == 1 else allowed
    if len(cpus) < row.cpus:
        return f"needs {row.cpus} processors"
    try:
        done = subprocess.run([program, f"{row.name}={count}"], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=row.timeout,
                              preexec_fn=lambda: confine(cpus, program.name.startswith("peer_")))
    except subprocess.TimeoutExpired:
        return f"no answer within {row.timeout} s"
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        return f"crashed with {name}: {last_line(done.stderr)}"
    if done.returncode != 0:
        return f"exit {done.returncode}: {last_line(done.stderr)}"
    for line in done.stdout.splitlines():
        figures.add(line)
    return None


def measure(row, count, runs, programs, figures, notes):
    have = [p for p, names in programs.items() if row.name in names]
    for run in range(runs):
        turn = run % len(have) if have else 0
        for program in have[turn:] + have[:turn]:
            reason = run_once(program, row, count, figures)
            if reason:
                notes.append(f"{row.name}: {program.name}: {reason}")
                failed = figures.failed.setdefault(row.name, {})
                failed[program.name.removeprefix("peer_")] = reason.split(":")[0]
                have.remove(program)


def judge(name, nart, others):
    """The goals of a row as (text, "yes" | "no" | "-")."""
    goals = {row.name: row.goals for row in ROWS} | EXTRA_GOALS
    out = []
    for goal in goals.get(name, ()):
        if nart is None or (goal.needs and goal.needs not in others):
            out.append((goal.text, "-"))
        else:
            out.append((goal.text, "yes" if goal.test(nart, others.get(goal.needs)) else "no"))
    return out


def results(figures):
    """The content of bench.json."""
    out = []
    for name in figures.values:
        peers = figures.medians(name)
        nart = peers.pop("nart", None)
        ratio = {p: round(v / nart, 3) for p, v in peers.items()} if nart else {}
        out.append({"row": name, "nart": nart, "unit": figures.units[name], "peers": peers,
                    "ratio": ratio})
    return out


def table(res, failed):
    lines = ["| row | nart | peers (peer / nart) | goal | reached |", "|---|---|---|---|---|"]
    rows = {r["row"]: r["nart"] for r in res if r["nart"] is not None}
    for r in res:
        nart = "-" if r["nart"] is None else f"{r['nart']:,.1f} {r['unit']}"
        peers = [f"{p} {v:,.1f}" + (f" ({r['ratio'][p]:.1f}x)" if p in r["ratio"] else "")
                 for p, v in r["peers"].items()]
        peers += [f"{p} {reason}" for p, reason in failed.get(r["row"], {}).items()]
        goals = judge(r["row"], r["nart"], rows | r["peers"])
        lines.append(f"| {r['row']} | {nart} | {', '.join(peers)} | {', '.join(g for g, _ in goals)} "
                     f"| {', '.join(y for _, y in goals)} |")
    return "\n".join(lines)


def write(res, out):
    out.mkdir(parents=True, exist_ok=True)
    (out / "bench.json").write_text(json.dumps(res, indent=1) + "\n")
    (out / "bench.svg").write_text(chart.svg(res, machine.describe()))
    (out / "readme.svg").write_text(chart.readme_svg(res, machine.describe()))


def main():
    args = parse()
    notes = list(args.skipped)
    paths = list(args.program)
    if args.peers:
        paths += build_rust(args.peers, args.target_dir, notes)
    programs = {p.resolve(): rows_of(p.resolve()) for p in paths}
    wanted = args.rows.split(",") if args.rows else [row.name for row in ROWS]
    unknown = set(wanted) - {row.name for row in ROWS}
    if unknown:
        sys.exit(f"no such row: {', '.join(sorted(unknown))}")

    if os.getloadavg()[0] > 1:
        notes.append(f"the machine was busy: load average {os.getloadavg()[0]:.1f} at the beginning")

    figures = Figures()
    for row in ROWS:
        if row.name in wanted:
            print(f"... {row.name}", file=sys.stderr, flush=True)
            count = row.quick_count() if args.quick else row.count
            measure(row, count, 1 if args.quick else args.runs, programs, figures, notes)
            write(results(figures), args.out)  # an interrupted run keeps its results

    print(table(results(figures), figures.failed))
    print(f"\n{machine.describe()}; medians of {1 if args.quick else args.runs}")
    for note in notes:
        print(f"- {note}")


if __name__ == "__main__":
    main()
