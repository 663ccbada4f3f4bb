# SPDX-License-Identifier: MIT OR Apache-2.0
import socket

from program import Program, check, deaf, refused, refuses, run

DAY = 24 * 3600 * 1000


def bound():
    """A port at which nobody listens yet."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, "127.0.0.1:%d" % sock.getsockname()[1]


def accept(sock, text):
    with sock.accept()[0] as client:
        client.sendall(text)
        client.shutdown(socket.SHUT_WR)
        check(client.recv(1) == b"", "the client closes")


def retries(number):
    """What it prints when nobody listens."""
    for i in range(number):
        yield from ("ECONNREFUSED", "retry %d after %d ms" % (i + 1, 10 * 2**i))


def test_it_waits_longer_each_time_and_starts_again_after_a_success(command):
    sock, address = bound()
    with sock, Program(command, address) as program:
        program.expect(*retries(3))
        sock.listen()
        accept(sock, b"")  # a connection without an answer is no success
        program.until("NART_EEOF")
        check(program.line().split(" after ")[0] not in ("retry 1", "retry 2", "retry 3"), "it starts again too early")
        accept(sock, b"one\ntwo\n")
        program.expect("received: one", "received: two", "NART_EEOF", "retry 1 after 10 ms")
        accept(sock, b"three\nquit\n")
        program.expect("received: three", "")


def test_it_gives_up(command):
    sock, address = bound()
    with sock, Program(command, address, 3, status=1) as program:
        program.expect(*retries(3), "ECONNREFUSED", "")


def test_a_server_that_is_silent(command):
    """With one more try: no line, or no connection."""
    late = ["ETIMEDOUT", "retry 1 after 10 ms", "ETIMEDOUT"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        out = run(command, "127.0.0.1:%d" % listener.getsockname()[1], 1, 100, DAY, status=1)
        check(out == late, *out)
    with deaf() as address:
        out = run(command, address, 1, DAY, 100, status=1)
        check(out == late, *out)


def test_wrong_arguments(command):
    refused(command)
    for numbers in (), (1,), (1, 1):
        refuses(command, "127.0.0.1:1", *numbers)
