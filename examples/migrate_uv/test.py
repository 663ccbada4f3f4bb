# SPDX-License-Identifier: MIT OR Apache-2.0
"""test.py [LAUNCHER...] STAGE: what clients of the server observe, whichever stage it is.

Nothing sleeps or measures time: what is awaited is a line, or the end of a connection."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "migrate"))
from wire import Client, Server, check  # noqa: E402

DAY = 24 * 3600 * 1000


class Board(Server):
    def __init__(self, idle_ms=DAY, beat_ms=DAY):
        super().__init__(*command, str(idle_ms), str(beat_ms))


# ---- the cases ----


def lines():
    with Board() as server:
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
    with Board() as server:
        client = Client(server)
        client.send(100 * "PING\n" + "rest")
        client.shut()
        check(client.rest() == 100 * "PONG\n", "replies before the end")
        client = Client(server)
        client.send(1000 * "x")
        client.await_ended()
        check(Client(server).ask("PING") == "PONG", "others")


def topics():
    with Board() as server:
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
    with Board() as server:
        control = Client(server)
        check(control.ask("PING") == "PONG", "PING")
        before = server.descriptors()
        for end in (Client.reset, Client.shut):
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
    with Board() as server:
        control = Client(server)
        check(control.ask("PING") == "PONG", "PING")
        before = server.descriptors()
        slow = Client(server, receive=4096)
        check(slow.ask("SUB x") == "OK", "SUB")
        text = 80 * "x"
        while control.ask("PUB x " + text) == "OK 1":
            pass
        while server.descriptors() != before:
            pass
        slow.await_ended()
        check(control.ask("PING") == "PONG", "PING")


def idle():
    """A client that sends nothing for too long is closed, whatever it receives."""
    with Board(idle_ms=100, beat_ms=10) as server:
        client = Client(server)
        client.send("SUB beat\n")
        client.await_ended()
        Client(server).await_ended()


def beat():
    with Board(beat_ms=5) as server:
        client = Client(server)
        check(client.ask("SUB beat") == "OK", "SUB")
        first = int(client.line().split()[2])
        for i in range(1, 20):
            check(client.line() == "MSG beat %d\n" % (first + i), "beat", i)


def terminate():
    """SIGTERM closes all clients."""
    with Board() as server:
        clients = [Client(server) for _ in range(20)]
        for client in clients:
            check(client.ask("SUB x") == "OK", "SUB")
        server.terminate()
        for client in clients:
            check(client.line() == "", "the end")


def arguments():
    for wrong in ("-1",), ("0",), ("x",), ("1x",), ("",), (10 * "9",), ("1", "-1"), ("1", "1", "1"):
        called = subprocess.run([*command, *wrong], stderr=subprocess.PIPE, text=True)
        check(called.returncode == 2 and called.stderr.startswith("usage: "), wrong, called)


if __name__ == "__main__":
    command = sys.argv[1:]
    for case in (lines, ends, topics, gone, slow, idle, beat, terminate, arguments):
        case()
        print(case.__name__, flush=True)
