# SPDX-License-Identifier: MIT OR Apache-2.0
"""test.py SERVER [LAUNCHER...] PROGRAM: what clients of echo and kv observe, whichever form they have.

Nothing sleeps or measures time: what is awaited is a line, a byte, or the end of a connection."""
import pathlib
import random
import signal
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "migrate"))
import wire  # noqa: E402
from wire import check  # noqa: E402

DAY = 24 * 3600 * 1000
SHORT = 100
ANY = "127.0.0.1:0"


class Server(wire.Server):
    """A server that ends after its clients."""

    def __init__(self, *args):
        super().__init__(*args)
        self.clients = []

    def terminate(self, signo=signal.SIGTERM):
        if not self.terminated:  # the second one may find the program without its handler
            self.process.send_signal(signo)
        self.terminated = True

    def __exit__(self, *failed):
        for client in self.clients:
            client.close()
        super().__exit__(*failed)


class Client(wire.Client):
    def __init__(self, server, receive=None):
        super().__init__(server, receive)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server.clients.append(self)

    def close(self):
        self.lines.close()
        self.sock.close()


def start(ms=DAY):
    return Server(*command, ANY, str(ms))


def receive(sock, size):
    """So many bytes, or all up to the end."""
    got = b""
    while len(got) < size:
        some = sock.recv(size - len(got))
        if not some:
            break
        got += some
    return got


def exchange(sock, data, back=None):
    """Sends, and receives as much at the same time, from another socket if that is given."""
    sender = threading.Thread(target=sock.sendall, args=(data,))
    sender.start()
    got = receive(back or sock, len(data))
    sender.join()
    check(got == data, "other bytes came back", len(data), len(got))


def at_once(work, number):
    """work(i) in so many threads."""
    failed = []

    def run(i):
        try:
            work(i)
        except BaseException as e:
            failed.append(repr(e))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    check(not failed, *failed)


def stuff(sock, text):
    """Sends, and reads nothing, until the server does not wait any longer, and closes."""
    try:
        while True:
            sock.sendall(1000 * text)
    except (BrokenPipeError, ConnectionResetError):
        pass


def rest_or_reset(sock):
    """What can still be read; the server may have reset the connection."""
    got = b""
    try:
        while some := sock.recv(65536):
            got += some
    except ConnectionResetError:
        pass
    return got


def leave_nothing(server, client, ends=(Client.reset, Client.shut, Client.close)):
    """Clients that end in each of these ways leave no descriptor behind; `client` makes one."""
    before = server.descriptors()
    for end in ends:
        clients = [client() for _ in range(20)]
        for c in clients:
            end(c)
        while server.descriptors() != before:
            pass


# ---- echo ----


def echo_bytes():
    with start() as server:
        client = Client(server)
        for size in (1, 1023, 1024, 1025, 1000000):
            exchange(client.sock, random.randbytes(size))
        client.send("the rest")
        client.shut()
        check(client.rest() == "the rest", "half close")


def echo_many():
    with start() as server:
        clients = [Client(server) for _ in range(200)]
        for i, client in enumerate(clients):
            client.send("client %d\n" % i)
        for i, client in reversed(list(enumerate(clients))):
            check(client.line() == "client %d\n" % i, i)
        at_once(lambda i: exchange(clients[i].sock, random.randbytes(100000)), 20)


def echo_slow():
    with start(SHORT) as server:
        clients = [Client(server) for _ in range(5)]
        at_once(lambda i: stuff(clients[i].sock, b"x"), 5)


def echo_idle():
    with start(SHORT) as server:
        check(Client(server).rest() == "", "the end")


# ---- kv ----


def kv_lines():
    with start() as server:
        a, b = Client(server), Client(server)
        check(a.ask("GET k") == "NONE" and a.ask("DEL k") == "NONE", "empty")
        check(a.ask("SET k some text") == "OK" and b.ask("GET k") == "VALUE some text", "SET")
        check(b.ask("SET k 2\r") == "OK" and a.ask("GET k\r") == "VALUE 2", "SET again")
        check(a.ask("DEL k") == "OK" and b.ask("GET k") == "NONE", "DEL")
        for line in ("", "GET", "get k", "SET k", "GET k 2", "DEL k 2", "PUT k 2", "SETk 2"):
            check(a.ask(line) == "ERROR", repr(line))
        check(a.ask("SET  empty") == "OK" and a.ask("GET ") == "VALUE empty", "the empty key")
        value = 505 * "v"
        check(a.ask("SET k " + value) == "OK" and a.ask("GET k") == "VALUE " + value, "the longest")
        a.send("SET k v" + value + "\n")
        a.await_ended()
        for byte in "GET k\nDEL":
            b.send(byte)
        check(b.line() == "VALUE " + value + "\n", "one byte at a time")
        b.send(" k\n" + 500 * "GET k\n" + "SET k 1")
        b.shut()
        check(b.rest() == "OK\n" + 500 * "NONE\n", "ahead of the replies, half close")
        check(Client(server).ask("GET k") == "NONE", "a line without its end")


def kv_many():
    with start() as server:

        def work(i):
            client = Client(server)
            for k in range(50):
                check(client.ask("SET %d/%d %d" % (i, k, i * k)) == "OK", "SET")
            for k in range(50):
                check(client.ask("GET %d/%d" % (i, k)) == "VALUE %d" % (i * k), "GET")

        at_once(work, 20)
        client = Client(server)
        check(all(client.ask("DEL %d/%d" % (i, k)) == "OK" for i in range(20) for k in range(50)), "DEL")


def kv_slow():
    with start(SHORT) as server:
        clients = [Client(server) for _ in range(5)]
        for client in clients:
            client.send("SET k " + 500 * "v" + "\n")
        at_once(lambda i: stuff(clients[i].sock, b"GET k\n"), 5)


def kv_idle():
    with start(SHORT) as server:
        client = Client(server)
        client.send("GET")
        check(rest_or_reset(client.sock) == b"", "the end")


# ---- echo and kv ----

REQUESTS = {"echo": ("GET k", "GET k"), "kv": ("GET k", "NONE")}


def request_gone():
    request, reply = REQUESTS[name]
    with start() as server:

        def client():
            c = Client(server)
            check(c.ask(request) == reply, request)
            c.send("GET")  # and no end
            return c

        client()
        leave_nothing(server, client)


def request_terminate():
    request, reply = REQUESTS[name]
    with start() as server:
        clients = [Client(server) for _ in range(20)]
        for client in clients:
            check(client.ask(request) == reply, request)
        server.terminate()
        for client in clients:
            check(client.rest() == "", "the end")


if __name__ == "__main__":
    name, command = sys.argv[1], sys.argv[2:]
    prefixes = (name + "_", "request_") if name in REQUESTS else (name + "_",)
    cases = [case for key, case in list(globals().items()) if key.startswith(prefixes)]
    check(cases, "no cases for", name)
    for case in cases:
        case()
        print(case.__name__, flush=True)
