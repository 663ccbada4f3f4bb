#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""The page of examples/servers/http.c, and the same on libuv and tokio, under wrk (Debian: wrk).

  hello.py nart=build/.../server_http libuv=.../hello_libuv tokio=.../hello_tokio

The servers take turns, for each number of connections; a figure is the median of the runs. wrk begins all connections
at once and counts from then on: thousands take seconds to open, so a run is longer the more there are. Server and wrk
have one processor each, so with two of them nothing else should run. `us` is processor time of the server per request, which
other load on the machine changes less than requests per second."""

import argparse
import os
import re
import resource
import statistics
import subprocess
import sys


def parse():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("server", nargs="+", help="name=program")
    p.add_argument("--connections", default="1,64,1000,10000")
    p.add_argument("--seconds", type=int, default=5, help="of a run; one more for each 300 connections")
    p.add_argument("--runs", type=int, default=5)
    return p.parse_args()


def pinned(cpu):
    """For the new process, before exec: one processor, and descriptors for all connections."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]

    def confine():
        os.sched_setaffinity(0, {cpu})
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    return confine


def processor_time(pid):
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wrk(server, connections, seconds, cpus):
    """(requests per second, microseconds of processor time per request)"""
    day = str(24 * 3600 * 1000)  # the example's timeout; the others have none
    with subprocess.Popen([server, "127.0.0.1:0", day], stdout=subprocess.PIPE, text=True,
                          preexec_fn=pinned(cpus[0])) as process:
        try:
            at = process.stdout.readline().split()[-1]
            command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", f"http://{at}/"]
            text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True,
                                  timeout=seconds + 60, preexec_fn=pinned(cpus[-1])).stdout
            spent = processor_time(process.pid)
        finally:
            process.kill()
    if "Non-2xx" in text or "Socket errors" in text:
        sys.exit(f"{server}: {text}")
    requests = int(re.search(r"(\d+) requests in", text)[1])
    if requests == 0:
        sys.exit(f"{server}: no answer to {connections} connections within {seconds} s: see --seconds")
    return float(re.search(r"Requests/sec:\s*([\d.]+)", text)[1]), spent * 1e6 / requests


def main():
    args = parse()
    servers = dict(s.split("=", 1) for s in args.server)
    names = list(servers)
    cpus = sorted(os.sched_getaffinity(0))
    print("| connections | " + " | ".join(f"{n}: requests/s, us" for n in names) + " |")
    print("|---|" + "---|" * len(names))
    for connections in (int(c) for c in args.connections.split(",")):
        seconds = args.seconds + connections // 300
        got = {name: [] for name in names}
        for run in range(args.runs):
            turn = run % len(names)
            for name in names[turn:] + names[:turn]:
                got[name].append(wrk(servers[name], connections, seconds, cpus))
        medians = {n: [statistics.median(column) for column in zip(*got[n])] for n in names}
        first = medians[names[0]]
        cells = [f"{rate:,.0f} ({rate / first[0]:.2f}x), {us:.2f} ({us / first[1]:.2f}x)"
                 for rate, us in medians.values()]
        print(f"| {connections} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
