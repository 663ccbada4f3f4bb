#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes operations.h: a call of every function of the public headers that takes a `cx`, each argument zeros.

`operations.py` writes it, `operations.py --check` fails if it is not what the headers have."""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
HEADERS = HERE.parent.parent / "include" / "nart"

# Not called with zeros, and why.
LEFT_OUT = {
    "nart_driver_poll": "polls a task",
    "nart_branch_run": "runs a function",
    "nart_branch_stop": "runs a function",
    "nart_scope_leave": "leaves a scope that was entered",
    "nart_nursery_open": "has to be joined",
    "nart_pipe_open_here": "opens descriptors each time",
    "nart_unix_pair_here": "opens descriptors each time",
    "nart_op_park": "an operation is entered before",
    "nart_op_park_until": "an operation is entered before",
    "nart_interval_init": "no operation, and an interval may be begun with any period",
}
SCALAR = re.compile(r"^(?:const )?(?:u?int\d+_t|int|size_t|bool|mode_t|uid_t|gid_t|nart_res|nart_prefix|nart_fiber_fn) \w+$")


def argument(parameter, index):
    parameter = parameter.strip()
    if "*" in parameter:
        return f"zero({index})"
    if not SCALAR.match(parameter):
        sys.exit(f"operations.py: what is zero of `{parameter}`?")
    kind, name = parameter.rsplit(" ", 1)
    if name == "fd":
        return "-1"
    return f"({kind})0"


def operations():
    for header in sorted(HEADERS.glob("*.h")):
        if header.name == "tokio.h":
            continue
        text = re.sub(r"/\*.*?\*/|//[^\n]*", "", header.read_text(), flags=re.S)
        for name, rest in re.findall(r"nart_res\s+(nart_\w+)\(nart_cx \*cx([^)]*)\)\s*;", text):
            if name in LEFT_OUT:
                continue
            parameters = [p for p in re.sub(r"\s+", " ", rest).split(",") if p.strip()]
            yield header.name, name, [argument(p, i) for i, p in enumerate(parameters)]


def main():
    lines = ["/* SPDX-License-Identifier: MIT OR Apache-2.0 */",
             "/* A call of every operation with zeros. Written by operations.py, included with a definition of OPERATION(). */",
             "/* clang-format off */"]
    for _, name, arguments in operations():
        lines.append(f"OPERATION({', '.join([name, 'cx'] + arguments)})")
    lines += ["/* clang-format on */", ""]
    text = "\n".join(lines)
    path = HERE / "operations.h"
    if "--check" not in sys.argv:
        path.write_text(text)
    elif path.read_text() != text:
        sys.exit("operations.h is not what the headers have: run tests/core/operations.py")


main()
