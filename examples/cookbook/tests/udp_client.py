# SPDX-License-Identifier: MIT OR Apache-2.0
import collections
import socket
import threading
import time

from program import Program, check, refused, refuses, run

TRIES = 5


class Server(threading.Thread):
    """Calls answer(sock, id, try, peer) for each datagram."""

    def __init__(self, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.sock.getsockname()[1]
        self.tries = collections.Counter()
        self.start()

    def run(self):
        while True:
            ident, peer = self.sock.recvfrom(2000)
            if not ident:
                return
            ident = int(ident)
            self.tries[ident] += 1
            self.answer(self.sock, ident, self.tries[ident], peer)

    def finish(self):
        """After all that was sent before has been received."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", self.sock.getsockname())
        self.join()
        return self.tries


def never(*_):
    pass


def second(sock, ident, tries, peer):
    """The first request is lost. Around the answer to the next one there are others, and it is repeated."""
    if tries > 1:
        for text in ("0: no", "", "x" * 1000, "%d: yes" % ident, "%d: again" % ident):
            sock.sendto(text.encode(), peer)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"%d: not the server" % ident, peer)


def test_a_lost_request_is_repeated(command):
    server = Server(second)
    out = run(command, server.address, 20, 300)
    check(sorted(out[:-1]) == sorted("%d: yes" % n for n in range(1, 21)), *out)
    check(out[-1] == "20 of 20 were answered", out[-1])
    tries = server.finish()
    check(len(tries) == 20 and min(tries.values()) >= 2, tries)


def test_it_gives_up(command):
    server, began = Server(never), time.monotonic()
    out = run(command, server.address, 3, 5, status=1)
    check(time.monotonic() - began >= (5 + 10 + 20 + 40 + 80) / 1000, "it has waited")
    check(sorted(out) == ["0 of 3 were answered", "1: ETIMEDOUT", "2: ETIMEDOUT", "3: ETIMEDOUT"], *out)
    check(server.finish() == {1: TRIES, 2: TRIES, 3: TRIES}, server.tries)


def test_one_that_is_not_answered_delays_no_other(command):
    told = threading.Event()
    server = Server(lambda sock, ident, tries, peer: (ident != 2 or told.is_set()) and second(sock, ident, 2, peer))
    with Program(command, server.address, 3, 1000) as program:
        check(sorted((program.line(), program.line())) == ["1: yes", "3: yes"], "the others")
        told.set()
        program.expect("2: yes", "3 of 3 were answered", "")


def test_refused(command):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % bound.getsockname()[1]
    began = time.monotonic()
    check(run(command, address, 1, 5, status=1) == ["1: ETIMEDOUT", "0 of 1 were answered"], "refused")
    check(time.monotonic() - began >= 0.155, "it has waited")


def test_wrong_arguments(command):
    refused(command)
    refuses(command, "127.0.0.1:1")
    refuses(command, "127.0.0.1:1", 1)
