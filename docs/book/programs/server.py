#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""server.py COMMAND...: starts a program, server.c or threads_listen.c, talks to it as clients do, and ends it by SIGTERM."""
import contextlib
import signal
import socket
import subprocess
import sys


@contextlib.contextmanager
def serving(*args):
    """The program, and where it listens. It ends with 0."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host, port = free.getsockname()
    with subprocess.Popen([*sys.argv[1:], f"{host}:{port}", *args], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == f"listening at {host}:{port}\n"
        yield server, (host, port)
        assert server.wait() == 0


def talk():
    connect = socket.create_connection
    with serving() as (server, at), connect(at) as idle, connect(at) as client, connect(at) as stays:
        for sock in (idle, client, stays):  # it is accepted: not by a listener that is about to close
            sock.sendall(b"hello, World 1\n")
            assert sock.makefile().readline() == "HELLO, WORLD 1\n"
        server.send_signal(signal.SIGTERM)
        client.sendall(b"still here\n")  # a client that is connected is served to its end
        client.shutdown(socket.SHUT_WR)
        assert client.makefile().read() == "STILL HERE\n"
        idle.shutdown(socket.SHUT_WR)
        assert idle.recv(1) == b""
        assert stays.recv(1) == b""  # it is disconnected in the end


def time_out():
    with serving("100") as (server, at), socket.create_connection(at) as idle, socket.create_connection(at) as deaf:
        assert idle.recv(1) == b""
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            while True:  # it sends, and reads nothing
                deaf.sendall(bytes(100000))
        server.send_signal(signal.SIGTERM)


def refuse():
    for wrong in "-1", "x", "1x", "", 10 * "9":
        called = subprocess.run([*sys.argv[1:], "127.0.0.1:0", wrong], stderr=subprocess.PIPE, text=True)
        assert called.returncode == 2 and called.stderr.startswith("usage: "), (wrong, called)


if __name__ == "__main__":
    talk()
    time_out()
    refuse()
