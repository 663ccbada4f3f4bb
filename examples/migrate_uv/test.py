# SPDX-License-Identifier: MIT OR Apache-2.0
"""test.py [LAUNCHER...] STAGE: what clients of the server observe, whichever stage it is.

Nothing sleeps or measures time: what is awaited is a line, or the end of a connection."""
import os
import signal
import socket
import struct
import subprocess
import sys

DAY = 24 * 3600 * 1000


def check(good, *what):
    if not good:
        raise SystemExit("FAIL " + " ".join(map(str, what)))


class Server:
    """The server. It is terminated at the end, and must end by itself, with nothing left."""

    def __init__(self, idle_ms=DAY, beat_ms=DAY):
        args = [*command, str(idle_ms), str(beat_ms)]
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
        self.terminated = False
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def __enter__(self):
        return self

    def __exit__(self, failed, *_):
        if failed:
            self.process.kill()
        else:
            self.terminate()
        status = self.process.wait()
        self.process.stdout.close()
        check(failed or status == 0, "exit status", status)

    def terminate(self):
        if not self.terminated:
            self.process.send_signal(signal.SIGTERM)
        self.terminated = True

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))


class Client:
    def __init__(self, server, receive=None):
        self.sock = socket.socket()
        if receive:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self.sock.connect(("127.0.0.1", server.port))
        self.lines = self.sock.makefile("r")

    def send(self, text):
        self.sock.sendall(text.encode())

    def line(self):
        return self.lines.readline()

    def ask(self, line):
        self.send(line + "\n")
        return self.line().rstrip("\n")

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.lines.close()
        self.sock.close()

    def await_ended(self):
        """Reads until the server closes; what it still sent does not matter."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass


# ---- the cases ----


def lines():
    with Server() as server:
        client = Client(server)
        check(client.ask("PING") == "PONG", "PING")
        for line in ("", "ping", "PING ", "SUB", "SUB a b", "PUB", "PUB a"):
            check(client.ask(line) == "ERR", repr(line))
        for byte in "PING\nPI":
            client.send(byte)
        check(client.line() == "PONG\n", "one byte at a time")
        client.send("NG\n" + 200 * "PING\n")
        check(all(client.line() == "PONG\n" for _ in range(201)), "ahead of the replies")


def ends():
    """A client that shuts down its side gets all replies; one that sends no line is closed."""
    with Server() as server:
        client = Client(server)
        client.send(100 * "PING\n" + "rest")
        client.sock.shutdown(socket.SHUT_WR)
        check(client.sock.makefile().read() == 100 * "PONG\n", "replies before the end")
        client = Client(server)
        client.send(1000 * "x")
        client.await_ended()
        check(Client(server).ask("PING") == "PONG", "others")


def topics():
    with Server() as server:
        a, b, c = Client(server), Client(server), Client(server)
        check(c.ask("PUB x 1") == "OK 0", "nobody")
        check([k.ask("SUB x") for k in (a, b)] == ["OK", "OK"], "SUB")
        check(c.ask("PUB x the text") == "OK 2", "two")
        check([k.line() for k in (a, b)] == ["MSG x the text\n"] * 2, "MSG")
        check(b.ask("SUB y") == "OK" and c.ask("PUB x 2") == "OK 1", "one topic per client")
        check(a.line() == "MSG x 2\n", "MSG 2")
        check(a.ask("PING") == "PONG", "a subscriber may ask")
        a.send("PUB x 3\n")
        check(sorted((a.line(), a.line())) == ["MSG x 3\n", "OK 1\n"], "its own line")
        for i in range(500):
            check(c.ask("PUB y %d" % i) == "OK 1", i)
            check(b.line() == "MSG y %d\n" % i, "order", i)


def gone():
    """Clients that close, also by a reset, leave nothing behind."""
    with Server() as server:
        control = Client(server)
        check(control.ask("PING") == "PONG", "PING")
        before = server.descriptors()
        for end in (Client.reset, lambda client: client.sock.shutdown(socket.SHUT_WR)):
            clients = [Client(server) for _ in range(50)]
            for client in clients:
                check(client.ask("SUB x") == "OK", "SUB")
            check(control.ask("PUB x 1") == "OK 50", "PUB")
            for client in clients:
                end(client)
            while control.ask("PUB x 2") != "OK 0":
                pass
            while server.descriptors() != before:
                pass


def slow():
    """A subscriber that does not read is closed; others are served meanwhile."""
    with Server() as server:
        slow, control = Client(server, receive=4096), Client(server)
        check(slow.ask("SUB x") == "OK", "SUB")
        text = 80 * "x"
        while control.ask("PUB x " + text) == "OK 1":
            pass
        slow.await_ended()
        check(control.ask("PING") == "PONG", "PING")


def idle():
    """A client that sends nothing for too long is closed, whatever it receives."""
    with Server(idle_ms=100, beat_ms=10) as server:
        client = Client(server)
        client.send("SUB beat\n")
        client.await_ended()
        Client(server).await_ended()


def beat():
    with Server(beat_ms=5) as server:
        client = Client(server)
        check(client.ask("SUB beat") == "OK", "SUB")
        first = int(client.line().split()[2])
        for i in range(1, 20):
            check(client.line() == "MSG beat %d\n" % (first + i), "beat", i)


def terminate():
    """SIGTERM closes all clients, also one that does not read."""
    with Server() as server:
        clients = [Client(server) for _ in range(20)]
        for client in clients:
            check(client.ask("SUB x") == "OK", "SUB")
        server.terminate()
        for client in clients:
            check(client.line() == "", "the end")


if __name__ == "__main__":
    command = sys.argv[1:]
    for case in (lines, ends, topics, gone, slow, idle, beat, terminate):
        case()
        print(case.__name__, flush=True)
