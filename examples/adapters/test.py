# SPDX-License-Identifier: MIT OR Apache-2.0
"""test.py CASE SERVER [LAUNCHER...] PROGRAM: starts the server, in a folder of its own, and runs the program, which
has to end with 0."""
import ctypes
import os
import signal
import subprocess
import sys
import tempfile


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def redis(folder, run):
    path = os.path.join(folder, "redis")
    options = ("--port", "0", "--save", "", "--dir", folder, "--unixsocket", path)
    with subprocess.Popen(
        [server, *options], stdout=subprocess.PIPE, text=True, preexec_fn=end_with_parent
    ) as process:
        while "eady to accept connections" not in process.stdout.readline():
            if process.poll() is not None:
                raise SystemExit("redis-server ended")
        status = run(path)
        process.kill()
    return status


case, server, *command = sys.argv[1:]
with tempfile.TemporaryDirectory() as folder:
    sys.exit(globals()[case](folder, lambda *args: subprocess.call([*command, *args])))
