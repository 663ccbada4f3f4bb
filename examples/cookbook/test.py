# SPDX-License-Identifier: MIT OR Apache-2.0
"""test.py NAME [LAUNCHER...] PROGRAM: runs the cases of tests/NAME.py, each of which starts PROGRAM.

A case is a function test_...(command): `command` is what starts the program, for program.Program. It checks
what the program does: its output and what its clients observe. Nothing sleeps or measures time."""
import pathlib
import runpy
import sys

here = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(here.parent / "migrate"))  # wire.py

name, *command = sys.argv[1:]
module = runpy.run_path(str(here / "tests" / (name + ".py")))
cases = [key for key in module if key.startswith("test_")]
if not cases:
    raise SystemExit("tests/%s.py has no case" % name)
for case in cases:
    print(case, flush=True)
    module[case](command)
