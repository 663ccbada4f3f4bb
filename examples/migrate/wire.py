# SPDX-License-Identifier: MIT OR Apache-2.0
"""wire.py: a server as a process, and its clients, for the tests of the migrations."""
import os
import signal
import socket
import struct
import subprocess


def check(good, *what):
    if not good:
        raise SystemExit("FAIL " + " ".join(map(str, what)))


class Server:
    """A program that prints where it listens. SIGTERM ends it, with nothing left."""

    def __init__(self, *args):
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
        self.terminated = False
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        if failed:
            self.process.kill()
        self.stop()
        self.process.stdout.close()
        check(failed or self.process.returncode == 0, "exit status", self.process.returncode)

    def terminate(self):
        if not self.terminated:
            self.process.send_signal(signal.SIGTERM)
        self.terminated = True

    def stop(self):
        self.terminate()
        self.process.wait()

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))


class Client:
    def __init__(self, server, receive=None, segment=None):
        """`segment`: bytes of a packet to it, at most; the server's kernel also buffers less for it if they are few."""
        self.sock = socket.socket()
        if receive:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        if segment:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, segment)
        self.sock.connect(("127.0.0.1", server.port))
        self.lines = self.sock.makefile("r", newline="\n")

    def send(self, text):
        self.sock.sendall(text.encode())

    def line(self):
        return self.lines.readline()

    def ask(self, line):
        self.send(line + "\n")
        return self.line().rstrip("\n")

    def rest(self):
        return self.lines.read()

    def shut(self):
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.lines.close()
        self.sock.close()

    def fill(self, text):
        """Sends until the server does not read any more, because this client does not, or closes."""
        self.sock.setblocking(False)
        try:
            while True:
                self.sock.send(1000 * text.encode())
        except (BlockingIOError, BrokenPipeError, ConnectionResetError):
            pass

    def send_until_closed(self, text):
        """Sends, and reads nothing, until the server closes."""
        try:
            while True:
                self.sock.sendall(1000 * text.encode())
        except (BrokenPipeError, ConnectionResetError):
            pass

    def await_ended(self):
        """Reads until the server closes; what it still sent does not matter."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
