# SPDX-License-Identifier: MIT OR Apache-2.0
"""test.py STAGE: what clients of the server, and readers of its journal, observe, whichever stage it is.

Nothing sleeps or measures time: what is awaited is a line, or the end of a connection."""
import os
import pathlib
import sys
import tempfile
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "migrate"))
from wire import Client, Server, check  # noqa: E402


class Meter(Server):
    def __init__(self):
        super().__init__(*command, journal)

    def records(self):
        """Terminates the server, which writes what it has accepted. Returns the lines of the journal."""
        self.stop()
        with open(journal) as f:
            return f.read().splitlines()


def lines():
    with Meter() as server:
        client = Client(server)
        check(client.ask("ADD 5") == "OK 1 5 5", "ADD")
        check(client.ask("ADD -7") == "OK 2 -2 5", "below 0")
        check(client.ask("ADD +9") == "OK 3 7 9", "a sign")
        for line in ("", "ADD", "ADD ", "ADD x", "ADD 1 ", "ADD  1", "ADD 1x", "ADD 9223372036854775808", "add 1"):
            check(client.ask(line) == "ERR", repr(line))
        for line in ("SAVE", "SAVE ", "SAVE a b", "SAVE a/b", "SAVE " + 16 * "x"):
            check(client.ask(line) == "ERR", repr(line))
        for byte in "ADD 1\nAD":
            client.send(byte)
        check(client.line() == "OK 4 8 9\n", "one byte at a time")
        client.send("D 1\r\n" + 1000 * "ADD 1\n")
        check([client.line() for _ in range(1001)][-1] == "OK 1005 1009 9\n", "ahead of the replies")
        check(Client(server).ask("ADD -1") == "OK 1 -1 -1", "a meter for each client")
        client.ask("ADD 9223372036854775807")
        check(client.ask("ADD 9223372036854775807") == "OK 1007 1007 9223372036854775807", "it wraps")
        check(server.records() == [], "nothing is saved")


def ends():
    """A client that shuts down its side gets all replies, also to a last line without an end."""
    with Meter() as server:
        client = Client(server)
        client.send(100 * "ADD 1\n" + "SAVE last")
        client.shut()
        replies = client.rest().splitlines()
        check(replies[99:] == ["OK 100 100 1", "SAVED"], "replies before the end", replies[-1])
        check(server.records() == ["last 100 100 1"], "the journal")


def save():
    """What was SAVED is in the journal after SIGTERM: in order, once, from clients at the same time."""
    with Meter() as server:
        failed = []

        def client(number):
            try:
                client = Client(server)
                for i in range(1, 201):
                    check(client.ask("ADD %d" % i) == "OK %d %d %d" % (i, i * (i + 1) // 2, i), "ADD")
                    check(client.ask("SAVE c%d" % number) == "SAVED", "SAVE")
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=client, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        check(not failed, failed)
        records = server.records()
        check(len(records) == 1600, "lines", len(records))
        for n in range(8):
            own = [r for r in records if r.startswith("c%d " % n)]
            check(own == ["c%d %d %d %d" % (n, i, i * (i + 1) // 2, i) for i in range(1, 201)], "client", n)


def gone():
    """Clients that close, also by a reset, leave nothing behind."""
    with Meter() as server:
        control = Client(server)
        check(control.ask("ADD 1") == "OK 1 1 1", "ADD")
        before = server.descriptors()
        for end in (Client.reset, Client.shut):
            clients = [Client(server) for _ in range(50)]
            for client in clients:
                check(client.ask("SAVE x") == "SAVED", "SAVE")
            for client in clients:
                end(client)
            while server.descriptors() != before:
                check(control.ask("ADD 0").startswith("OK"), "others")
        check(len(server.records()) == 100, "the journal")


def terminate():
    """SIGTERM closes all clients, also those that do not read. What they have SAVED is written."""
    with Meter() as server:
        idle = [Client(server) for _ in range(10)]
        deaf = [Client(server, receive=4096) for _ in range(3)]
        for client in idle + deaf:
            check(client.ask("SAVE i") == "SAVED", "SAVE")
        for client in deaf:
            client.fill("ADD 1\n")
        check(len(server.records()) == 13, "the journal")
        for client in idle:
            check(client.line() == "", "the end")


if __name__ == "__main__":
    command = sys.argv[1:]
    with tempfile.TemporaryDirectory() as folder:
        journal = os.path.join(folder, "journal")
        for case in (lines, ends, save, gone, terminate):
            case()
            print(case.__name__, flush=True)
