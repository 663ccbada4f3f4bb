#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs cases of test_trace.c that print a trace of a loop with a bridge, and checks it: slices of a thread nest,
every arrow begins and ends in a slice, and not before it begins; what ends has begun. If nothing was lost,
each operation has its slices, and both its arrows at the right ones. Arguments: the program, then cases."""

import json
import subprocess
import sys

LOOP = 1


def micros(event, key="ts"):
    """In nanoseconds: exact, where the viewers' doubles are not."""
    return round(event[key] * 1000)


def slices_of(events):
    """(process, track) -> [(begin, end, event)], those of the loop by B and E, those of the bridge by X."""
    slices, opened = {}, {}
    for event in events:
        track = (event["pid"], event.get("tid"))
        if event["ph"] == "B":
            assert track not in opened, event
            opened[track] = event
        elif event["ph"] == "E":
            begin = opened.pop(track)
            slices.setdefault(track, []).append((micros(begin), micros(event), begin))
        elif event["ph"] == "X":
            assert event["pid"] != LOOP, event
            begin = micros(event)
            slices.setdefault(track, []).append((begin, begin + micros(event, "dur"), event))
    assert not opened, opened
    return slices


def check_nesting(slices):
    for on_track in slices.values():
        ends = []
        for begin, end, event in sorted(on_track, key=lambda s: (s[0], -s[1])):
            while ends and ends[-1] <= begin:
                ends.pop()
            assert not ends or end <= ends[-1], event
            ends.append(end)


def check(trace, kept):
    """kept: nothing was lost."""
    events = trace["traceEvents"]
    assert (trace["otherData"]["lost"] == 0) == kept, trace["otherData"]
    slices = slices_of(events)
    check_nesting(slices)
    named = {(e["pid"], e["tid"]) for e in events if e.get("name") == "thread_name"}
    assert set(slices) <= named, set(slices) - named
    of_operation = {}
    for (process, _), on_track in slices.items():
        if process != LOOP:
            for piece in on_track:
                flow = (process << 40) + piece[2]["args"]["operation"]
                of_operation.setdefault(flow, []).append(piece[:2])
    arrows = {"s": {}, "f": {}}
    for event in events:
        if event.get("cat") != "tokio":
            continue
        key, at = (event["name"], event["id"]), micros(event)
        assert key not in arrows[event["ph"]], event
        arrows[event["ph"]][key] = at, event["pid"]
        around = slices.get((event["pid"], event["tid"]), [])
        assert any(begin <= at <= end for begin, end, _ in around), event
    for key, (at, _) in arrows["f"].items():
        assert key in arrows["s"], f"{key} ends and has not begun"
        assert arrows["s"][key][0] <= at, f"{key} ends before it begins"
    if kept:
        check_operations(of_operation, arrows)
    return len(of_operation), len(arrows["s"]), len(arrows["f"])


def check_operations(of_operation, arrows):
    assert len(of_operation) == 400 + 2 * 100, len(of_operation)
    from_loop = 0
    for flow, pieces in of_operation.items():
        pieces.sort()
        (submitted, by), (read, reader) = arrows["s"]["submit", flow], arrows["f"]["answer", flow]
        from_loop += by == LOOP
        assert by == reader, flow
        assert arrows["f"]["submit", flow][0] == pieces[0][0], "the first slice"
        assert arrows["s"]["answer", flow][0] == pieces[-1][1], "the last slice"
        assert submitted <= pieces[0][0] and pieces[-1][1] <= read, flow
        assert all(a[1] <= b[0] for a, b in zip(pieces, pieces[1:])), "one poll at a time"
    assert from_loop == 400, from_loop
    assert all(len(arrows[end]) == 2 * len(of_operation) for end in "sf")


def main():
    program, cases = sys.argv[1], sys.argv[2:]
    for case in cases:
        text = subprocess.run([program, case], stdout=subprocess.PIPE, check=True).stdout
        print(case, check(json.loads(text), case == "a_storm_of_operations"))


main()
