# SPDX-License-Identifier: MIT OR Apache-2.0
"""program.py: a program of the cookbook as a process, for the cases in tests/. Client and check are those of
examples/migrate/wire.py."""
import contextlib
import socket
import subprocess

from wire import Client, check  # noqa: F401


class Program:
    """Starts `command` with arguments. `with` waits for its end and checks its exit status."""

    def __init__(self, command, *args, status=0, **popen):
        self.status = status
        self.process = subprocess.Popen([*command, *map(str, args)], stdout=subprocess.PIPE, text=True, **popen)

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        if failed:
            self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        if self.process.stdin:
            self.process.stdin.close()
        check(failed or self.process.returncode == self.status, "exit status", self.process.returncode)

    def line(self):
        """The next line of its output, without the end of line; "" at the end."""
        return self.process.stdout.readline().rstrip("\n")

    def expect(self, *lines):
        """The next lines of its output are these."""
        for line in lines:
            got = self.line()
            check(got == line, "expected", repr(line), "got", repr(got))

    def until(self, line):
        """Skips its output up to this line."""
        while (got := self.process.stdout.readline()) != line + "\n":
            check(got, "no line", repr(line))

    def rest(self):
        """Its output up to its end."""
        return self.process.stdout.read()

    def listening(self):
        """Reads the line `listening at ADDRESS:PORT`. Clients connect to `port`, as Client(program) does."""
        line = self.line()
        check(line.startswith("listening at "), "expected `listening at`, got", repr(line))
        self.port = int(line.rpartition(":")[2])
        return self

    def signal(self, signo):
        self.process.send_signal(signo)


@contextlib.contextmanager
def deaf():
    """The address of a listener whose queue is full: the kernel does not answer those who connect."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        with socket.create_connection(listener.getsockname()):
            yield "127.0.0.1:%d" % listener.getsockname()[1]


def run(command, *args, **popen):
    """Runs the program to its end. Its output, as lines."""
    with Program(command, *args, **popen) as program:
        return program.rest().splitlines()


def refused(command, *args):
    """The program does nothing with these arguments but say how to call it."""
    with Program(command, *args, status=2, stderr=subprocess.PIPE) as program:
        out, errors = program.process.communicate()
        check(out == "" and errors.startswith("usage: "), args, out, errors)


def refuses(command, *args):
    """The last argument is a number, and refused in all these forms."""
    for wrong in "-1", "x", "1x", "", "1.5", 10 * "9":
        refused(command, *args, wrong)
