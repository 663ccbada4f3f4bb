# SPDX-License-Identifier: MIT OR Apache-2.0
import socket

from program import Program, check, refused, refuses, run

AT_A_TIME = 16


class Server:
    """What the jobs connect to."""

    def __init__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1000)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]

    def jobs(self, count):
        """The connections of so many jobs, by their numbers. There are no more at the same time."""
        jobs = {}
        for _ in range(count):
            sock = self.listener.accept()[0]
            with sock.makefile("r") as lines:
                jobs[int(lines.readline())] = sock
        self.no_more()
        return jobs

    def no_more(self):
        self.listener.settimeout(0)
        try:
            self.listener.accept()
            check(False, "one job more than may run")
        except BlockingIOError:
            self.listener.settimeout(None)


def answer(jobs, text):
    for sock in jobs.values():
        sock.sendall(text)
        sock.close()


def test_sixteen_at_a_time(command):
    server = Server()
    with Program(command, server.address) as program:
        for first in range(1, 1000, AT_A_TIME):
            numbers = range(first, min(first + AT_A_TIME, 1001))
            jobs = server.jobs(len(numbers))
            check(sorted(jobs) == list(numbers), "in order", *jobs)
            answer(jobs, b"ok\n")
        program.expect("1000 jobs succeeded", "")


def test_one_ends_and_the_next_begins(command):
    server = Server()
    with Program(command, server.address) as program:
        running = server.jobs(AT_A_TIME)
        for number in range(AT_A_TIME + 1, 1001):
            answer({0: running.pop(max(running))}, b"ok\n")  # the newest: the others wait on
            running.update(server.jobs(1))
            check(number in running, number)
        answer(running, b"ok\n")
        program.expect("1000 jobs succeeded", "")


def test_the_first_error_cancels_the_rest(command):
    server = Server()
    with Program(command, server.address, status=1) as program:
        answer(server.jobs(AT_A_TIME), b"ok\n")
        running = server.jobs(AT_A_TIME)
        answer({20: running.pop(20)}, b"no\n")
        check(all(sock.recv(1) == b"" for sock in running.values()), "the others are closed")
        program.expect("job 20 failed: EPROTO", "16 jobs succeeded", "")
        server.no_more()


def test_the_server_is_gone(command):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        out = run(command, "127.0.0.1:%d" % bound.getsockname()[1], status=1)
        check(out[0].endswith("failed: ECONNREFUSED") and out[1:] == ["0 jobs succeeded"], *out)


def test_a_job_that_takes_too_long(command):
    server = Server()  # that accepts nobody
    first, *rest = run(command, server.address, 100, status=1)
    check(first.startswith("job ") and first.endswith(" failed: ETIMEDOUT"), first)
    check(rest == ["0 jobs succeeded"], *rest)


def test_wrong_arguments(command):
    refused(command)
    refuses(command, "127.0.0.1:1")
