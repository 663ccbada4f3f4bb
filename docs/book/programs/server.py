#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""server.py COMMAND...: starts a program, server.c or threads_listen.c, talks to it as two clients, and ends it by SIGTERM."""
import signal
import socket
import subprocess
import sys


def main():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host, port = free.getsockname()
    with subprocess.Popen([*sys.argv[1:], f"{host}:{port}"], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout.readline() == f"listening at {host}:{port}\n"
        with socket.create_connection((host, port)) as idle, socket.create_connection((host, port)) as client:
            for sock in (idle, client):  # it is accepted: not by a listener that is about to close
                sock.sendall(b"hello, World 1\n")
                assert sock.makefile().readline() == "HELLO, WORLD 1\n"
            server.send_signal(signal.SIGTERM)
            client.sendall(b"still here\n")  # a client that is connected is served to its end
            client.shutdown(socket.SHUT_WR)
            assert client.makefile().read() == "STILL HERE\n"
            idle.shutdown(socket.SHUT_WR)
            assert idle.recv(1) == b""
        assert server.wait() == 0


if __name__ == "__main__":
    main()
