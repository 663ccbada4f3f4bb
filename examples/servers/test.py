# SPDX-License-Identifier: MIT OR Apache-2.0
"""test.py SERVER [LAUNCHER...] PROGRAM: what clients of echo, kv, chat and proxy observe, whichever form they have.

Nothing sleeps or measures time: what is awaited is a line, a byte, or the end of a connection."""
import pathlib
import random
import signal
import socket
import subprocess
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


def is_reset(sock):
    """Does it end, and not by the end of the stream?"""
    try:
        receive(sock, 1)
    except ConnectionResetError:
        return True
    return False


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


# ---- chat ----


class Guest(Client):
    """A client that has joined: its name is known to the server."""

    def __init__(self, server, name, receive=None):
        super().__init__(server, receive)
        self.name = name
        self.send("/nick %s\n" % name)
        self.until("* now %s" % name)

    def until(self, expected):
        """Reads to the line, `now` matching any old name; returns what came before."""
        before = []
        while True:
            line = self.line()
            check(line != "", "the end instead of", expected)
            words = line.split()
            if expected.startswith("* now") and words[-3:] == ["is", "now", expected.split()[-1]]:
                return before
            if line == expected + "\n":
                return before
            before.append(line)


def chat_talk():
    with start() as server:
        ann = Guest(server, "ann")
        bob = Guest(server, "bob")
        check(ann.until("* now bob") == ["* guest2 joined\n"], "joined")
        for byte in "hello\r\n\nhow ":
            ann.send(byte)
        ann.send("are you\n/nick anna\n/nick " + 40 * "x" + "\nit is me\n")
        lines = [bob.line() for _ in range(5)]
        check(lines[:2] == ["ann: hello\n", "ann: how are you\n"], lines)
        check(lines[2:] == ["* ann is now anna\n", "* anna is now %s\n" % (15 * "x"), 15 * "x" + ": it is me\n"], lines)
        check(ann.line() == "* ann is now anna\n", "its own lines do not come back")
        ann.line()
        bob.send("bye\n/quit\nnot said\n")
        check([ann.line(), ann.line()] == ["bob: bye\n", "* bob left\n"], "quit")
        check(bob.rest() == "", "the end")
        cid = Guest(server, "cid")
        ann.until("* now cid")
        cid.send("last words\n without an end")
        cid.shut()
        check([ann.line(), ann.line()] == ["cid: last words\n", "* cid left\n"], "half close")
        check(cid.rest() == "", "the end")
        dan = Guest(server, "dan")
        dan.send(600 * "x")
        dan.await_ended()
        check(ann.until("* dan left")[1:] == ["* guest4 is now dan\n"], "too long")


def chat_many():
    """All guests receive all lines of the others, in one order."""
    with start() as server:
        guests = [Guest(server, "g%d" % i) for i in range(20)]
        for guest in guests[:-1]:
            guest.until("* now g19")
        heard = [None] * 20

        def work(i):
            guests[i].send("".join("%d %s\n" % (k, 480 * "x") for k in range(20)))
            heard[i] = [guests[i].line() for _ in range(19 * 20)]

        at_once(work, 20)
        for i in range(20):
            others = [line for line in heard[0 if i else 1] if not line.startswith("g%d:" % i)]
            mine = [line for line in heard[i] if not line.startswith("g%d:" % (0 if i else 1))]
            check(others == mine, "order", i)
            for k in range(20):
                said = ["g%d: %d %s\n" % (k, n, 480 * "x") for n in range(20)] if k != i else []
                check([line for line in heard[i] if line.startswith("g%d:" % k)] == said, i, k)


def chat_flood():
    """One that sends as fast as it can loses nothing, and nobody else does."""
    with start() as server:
        ann, bob = Guest(server, "ann"), Guest(server, "bob")
        ann.until("* now bob")
        sender = threading.Thread(target=ann.send, args=("".join("%d\n" % i for i in range(20000)),))
        sender.start()
        for i in range(20000):
            check(bob.line() == "ann: %d\n" % i, i)
        sender.join()
        check(bob.ask("/nick bert") == ann.line()[:-1] == "* bob is now bert", "others")


def talk(ann, bob, number):
    """A few lines from one to the other, which reads them all; what else it reads is returned."""
    said = ["ann: %d %s\n" % (number + i, 480 * "x") for i in range(20)]
    ann.send("".join(line[5:] for line in said))
    heard = []
    while not heard or heard[-1] != said[-1]:
        heard.append(bob.line())
    others = [line for line in heard if line not in said]
    check([line for line in heard if line in said] == said, "a line is lost", number)
    return others


def chat_slow():
    """A guest that does not read is dropped; the others receive every line meanwhile."""
    with start(SHORT) as server:
        ann, bob = Guest(server, "ann"), Guest(server, "bob")
        slow = Guest(server, "slow", receive=4096)
        bob.until("* now slow")
        number = 0
        while talk(ann, bob, number) != ["* slow was dropped\n"]:
            number += 20
        rest_or_reset(slow.sock)
        check(talk(ann, bob, number) == [], "others")


def chat_lag():
    """So is one that reads again when its lines are not there any more."""
    with start() as server, open("/proc/sys/net/ipv4/tcp_wmem") as wmem:
        ann, bob = Guest(server, "ann"), Guest(server, "bob")
        slow = Guest(server, "slow", receive=4096)
        bob.until("* now slow")
        more_than_fits = int(wmem.read().split()[2]) + 2000 * 500
        for number in range(0, more_than_fits // 480, 20):
            check(talk(ann, bob, number) == [], "dropped too early")
        rest_or_reset(slow.sock)
        check(bob.line() == "* slow was dropped\n", "dropped")


def chat_gone():
    with start() as server:
        ann = Guest(server, "ann")
        leave_nothing(server, lambda: Guest(server, "bob"))
        ann.send("/quit\n")
        check(ann.rest().count("left") == 60, "left")


def chat_terminate():
    """All receive what was said, and are told; also one that still talks."""
    with start() as server:
        guests = [Guest(server, "g%d" % i) for i in range(20)]
        for guest in guests[:-1]:
            guest.until("* now g19")
        guests[0].send("the last line\n")
        guests[1].until("g0: the last line")
        server.terminate(signal.SIGINT)
        guests[2].sock.sendall(100 * b"too late\n")
        for i, guest in enumerate(guests):
            before = guest.until("* the server ends")
            check(i < 2 or before[0] == "g0: the last line\n", before)
            check(guest.rest() == "", "the end")
            guest.close()


# ---- proxy ----


class Upstream:
    """The server behind the proxy."""

    def __init__(self, ms=DAY):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.proxy = Server(*command, ANY, "127.0.0.1:%d" % self.listener.getsockname()[1], str(ms))

    def __enter__(self):
        self.proxy.__enter__()
        return self

    def __exit__(self, *failed):
        self.listener.close()
        self.proxy.__exit__(*failed)

    def pair(self, receive=None):
        """A client, and what it is connected with."""
        client = Client(self.proxy, receive)
        return client, self.listener.accept()[0]


def proxy_bytes():
    with Upstream() as upstream:
        client, server = upstream.pair()
        for size in (1, 16384, 1000000):
            exchange(client.sock, random.randbytes(size), server)
            exchange(server, random.randbytes(size), client.sock)


def proxy_half_close():
    with Upstream() as upstream:
        for turn in range(2):
            client, server = upstream.pair()
            a, b = (client.sock, server)[:: 1 - 2 * turn]
            a.sendall(b"before")
            a.shutdown(socket.SHUT_WR)
            check(receive(b, 100) == b"before", "the end is passed on")
            exchange(b, random.randbytes(100000), a)
            b.shutdown(socket.SHUT_WR)
            check(receive(a, 1) == b"", "both ends")


def proxy_many():
    with Upstream() as upstream:
        pairs = [upstream.pair() for _ in range(50)]
        at_once(lambda i: exchange(pairs[i][0].sock, random.randbytes(50000), pairs[i][1]), 50)
        at_once(lambda i: exchange(pairs[i][1], random.randbytes(50000), pairs[i][0].sock), 50)


def proxy_slow():
    """If one side does not read, both are closed."""
    with Upstream(SHORT) as upstream:
        for turn in range(4):
            client, server = upstream.pair()
            writer, reader = (client.sock, server)[:: 1 - 2 * (turn % 2)]
            if turn >= 2:
                reader.shutdown(socket.SHUT_WR)
            stuff(writer, b"x")
            rest_or_reset(reader)


def proxy_idle():
    with Upstream(SHORT) as upstream:
        for shut in (False, True):
            client, server = upstream.pair()
            if shut:
                client.shut()
                check(receive(server, 1) == b"", "the end is passed on")
            check(is_reset(server) or shut, "an end that the client has not sent")
            check(is_reset(client.sock), "an end that the server has not sent")


def proxy_gone():
    with Upstream() as upstream:
        client, server = upstream.pair()
        behind = []

        def connected():
            pair = upstream.pair()
            behind.append(pair[1])  # stays open
            return pair[0]

        leave_nothing(upstream.proxy, connected, (Client.reset,))
        exchange(client.sock, b"others", server)
        for _ in range(20):
            client, server = upstream.pair()
            client.send("x")
            client.shut()
            server.close()  # with a byte that was not read, or before that: a reset, or an end
            client.await_ended()
        upstream.listener.close()
        Client(upstream.proxy).await_ended()


def proxy_terminate():
    with Upstream() as upstream:
        pairs = [upstream.pair() for _ in range(20)]
        upstream.proxy.terminate()
        for client, server in pairs:
            check(is_reset(client.sock) and is_reset(server), "an end that neither has sent")


def arguments():
    """A time that is no number of milliseconds is refused, and so is one argument more."""
    least = [ANY, ANY] if name == "proxy" else [ANY]
    for wrong in ("-1",), ("x",), ("1x",), ("",), (10 * "9",), ("1", "1", "1"):
        called = subprocess.run([*command, *least, *wrong], stderr=subprocess.PIPE, text=True)
        check(called.returncode == 2 and called.stderr.startswith("usage: "), wrong, called)


def run(functions):
    """The cases of the server that the command line names."""
    global name, command
    name, command = sys.argv[1], sys.argv[2:]
    prefixes = (name + "_", "request_") if name in REQUESTS else (name + "_",)
    cases = [case for key, case in list(functions.items()) if key.startswith(prefixes)]
    check(cases, "no cases for", name)
    for case in cases:
        case()
        print(case.__name__, flush=True)
    arguments()


if __name__ == "__main__":
    run(globals())
