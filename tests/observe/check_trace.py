#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs cases of a test program that print a trace, and checks that each is valid JSON of the form that
the viewers read: times ascend, slices nest and are closed, an arrow that ends has begun, both ends lie
in slices. Arguments: the program, then cases."""

import json
import subprocess
import sys


def check_events(events):
    names, open_slices, begun, last = {}, {}, set(), 0.0
    counts = {}
    for event in events:
        phase, track = event["ph"], event.get("tid")
        counts[phase] = counts.get(phase, 0) + 1
        assert event["pid"] == 1, event
        if phase == "M":
            assert track not in names, event
            names[track] = event["args"]["name"]
            continue
        assert track in names, event
        assert event["ts"] >= last, event
        last = event["ts"]
        slices = open_slices.setdefault(track, [])
        if phase == "B":
            assert not slices, event
            slices.append(event["name"])
        elif phase == "E":
            assert slices, event
            slices.pop()
        elif phase == "s":
            assert slices and event["id"] not in begun, event
            begun.add(event["id"])
        elif phase == "f":
            assert slices and event["bp"] == "e", event
            assert event["id"] in begun, event
            begun.remove(event["id"])
        else:
            assert phase == "i" and event["s"] == "t" and not slices, event
    assert not any(open_slices.values()), open_slices
    return counts


def main():
    program, cases = sys.argv[1], sys.argv[2:]
    for case in cases:
        text = subprocess.run([program, case], stdout=subprocess.PIPE, check=True).stdout
        trace = json.loads(text)
        counts = check_events(trace["traceEvents"])
        print(case, trace["otherData"], counts)
        if trace["otherData"]["lost"] == 0:
            assert counts["f"] == counts["s"], "each arrow has an end"
            assert counts["f"] > 100 and counts["i"] > 100, counts


main()
