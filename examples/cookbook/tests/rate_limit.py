# SPDX-License-Identifier: MIT OR Apache-2.0
import errno
import os
import socket
import subprocess
import threading
import time

from program import Program, check, deaf, refused, refuses, run

BURST = 5
INTERVAL = 10  # ms
MS = 1000000


class Server:
    """Answers each request by its number. The clock of time.monotonic_ns() is that of the program."""

    def __init__(self, pause=None):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.pause = pause
        self.times = []
        self.began = time.monotonic_ns()
        for _ in range(3):
            threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with self.listener.accept()[0] as sock, sock.makefile("rw") as lines:
            for line in lines:
                with self.lock:
                    number, sent = map(int, line.split())
                    self.times.append(sent)
                    if number == self.pause:  # nobody is answered; meanwhile the bucket becomes full
                        time.sleep(20 * INTERVAL / 1000)
                        self.began = time.monotonic_ns()
                lines.write("answer %d\n" % number)
                lines.flush()


def test_no_more_than_the_bucket_has(command):
    server = Server()
    out = run(command, server.address, 30, BURST, INTERVAL)
    check(sorted(out) == sorted("%d: answer %d" % (n, n) for n in range(1, 31)), *out)
    for i, sent in enumerate(sorted(server.times)):
        check(sent >= server.began + (i + 1 - BURST) * INTERVAL * MS, "too early", i, sent - server.began)


def test_a_full_bucket_holds_no_more(command):
    server = Server(pause=10)
    run(command, server.address, 40, BURST, INTERVAL)
    check(len(server.times) == 40, "all were sent")
    late = sorted(sent for sent in server.times if sent > server.began)
    for i, sent in enumerate(late):
        check(sent >= server.began + (i + 1 - BURST) * INTERVAL * MS, "too early", i, sent - server.began)


def test_the_burst_does_not_wait(command):
    server = Server()
    with Program(command, server.address, 3 * BURST, 3 * BURST, 24 * 3600 * 1000) as program:
        check(len(program.rest().splitlines()) == 3 * BURST, "all at once")


def test_no_answer_in_time(command):
    late = "rate_limit: %s\n" % os.strerror(errno.ETIMEDOUT)
    with socket.create_server(("127.0.0.1", 0)) as silent, deaf() as address:
        for server in "127.0.0.1:%d" % silent.getsockname()[1], address:
            with Program(command, server, 30, BURST, INTERVAL, 100, status=1, stderr=subprocess.PIPE) as program:
                check(program.process.communicate() == ("", late), server)


def test_wrong_arguments(command):
    refused(command)
    refused(command, "127.0.0.1:1", 1, 10000)
    for numbers in (), (1,), (1, 1), (1, 1, 1):
        refuses(command, "127.0.0.1:1", *numbers)
