# SPDX-License-Identifier: MIT OR Apache-2.0
"""test.py CASE SERVER [LAUNCHER...] PROGRAM: starts the server, in a folder of its own, and runs the program, which
has to end with 0."""
import subprocess
import sys
import tempfile

import servers

case, server, *command = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    sys.exit(getattr(servers, case)(server, folder, lambda *args: subprocess.call([*command, *args])))
