# SPDX-License-Identifier: MIT OR Apache-2.0
import socket
import subprocess

from program import Program, check, deaf, refused, refuses, run

DAY = 24 * 3600 * 1000


def serve(command, ping, silence, status=0):
    """The program, and the connection that it makes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = Program(command, "127.0.0.1:%d" % listener.getsockname()[1], ping, silence, status=status)
        return program, listener.accept()[0]


def test_pings_are_sent_while_lines_are_read(command):
    program, sock = serve(command, 5, DAY)
    with program, sock, sock.makefile("rw", newline="\n") as lines:
        for i in range(5):
            check(lines.readline() == "ping\n", "ping")
            lines.write("pong\nline %d\n" % i)
            lines.flush()
        sock.shutdown(socket.SHUT_WR)
        program.expect(*["received: line %d" % i for i in range(5)], "the peer has closed")


def test_reading_does_not_wait_for_a_ping(command):
    program, sock = serve(command, DAY, DAY)
    with program, sock:
        sock.sendall(b"hello\n")
        program.expect("received: hello")
        sock.shutdown(socket.SHUT_WR)
        program.expect("the peer has closed", "")


def test_a_silent_peer_ends_it(command):
    program, sock = serve(command, DAY, 20, status=1)
    with program, sock:
        program.expect("the peer is silent")


def test_nobody_listens(command):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        check(run(command, "127.0.0.1:%d" % bound.getsockname()[1], status=1) == [], "output")


def test_a_listener_that_does_not_accept(command):
    # a connection that is not made in time is no silent peer
    with deaf() as address, Program(command, address, DAY, DAY, 100, status=1, stderr=subprocess.PIPE) as program:
        out, errors = program.process.communicate()
        check(out == "" and errors.startswith("heartbeat: "), out, errors)


def test_wrong_arguments(command):
    refused(command)
    refused(command, "127.0.0.1:1", 0)
    refused(command, "127.0.0.1:1", 1, 0)
    for numbers in (), (1,), (1, 1):
        refuses(command, "127.0.0.1:1", *numbers)
