# SPDX-License-Identifier: MIT OR Apache-2.0
"""test.py CASE loop|tokio REDIS_SERVER LOAD [LAUNCHER...] KVPROXY: what kvproxy promises, when any of its
parties is slow, stopped or killed.

Nothing sleeps or measures time. What is awaited is a line of a process, or a counter of STATS."""
import contextlib
import ctypes
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile

DAY = str(24 * 3600 * 1000)
# A host of this process: a port that the proxy leaves, and takes again, is nobody else's meanwhile.
HOST = "127.%d.%d.1" % divmod(os.getpid() % 60000 + 256, 256)


def check(good, *what):
    if not good:
        raise SystemExit("FAIL " + " ".join(map(str, what)))


def end_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


class Process:
    """Is killed at the end if it still runs."""

    all = []

    def __init__(self, *args):
        self.process = subprocess.Popen(
            args, stdout=subprocess.PIPE, text=True, preexec_fn=end_with_parent
        )
        Process.all.append(self)

    def line(self):
        return self.process.stdout.readline()

    def send(self, signo):
        self.process.send_signal(signo)

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def fields(text):
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2])))


class Redis(Process):
    """Writes each command to its file before it replies: what it has acknowledged, it has after a kill."""

    def __init__(self):
        self.socket = os.path.join(folder, "redis")
        options = ("--port", "0", "--save", "", "--appendonly", "yes", "--appendfsync", "no")
        super().__init__(redis_server, *options, "--dir", folder, "--unixsocket", self.socket)
        while "eady to accept connections" not in self.line():
            check(self.process.poll() is None, "redis ended")

    def stop(self):
        """Does not run, until it is continued."""
        self.send(signal.SIGSTOP)
        os.waitid(os.P_PID, self.process.pid, os.WSTOPPED | os.WNOWAIT)

    def go_on(self):
        self.send(signal.SIGCONT)

    def command(self, *words):
        """The reply, as redis encodes it."""
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(self.socket)
            s.sendall(b"*%d\r\n" % len(words))
            for word in words:
                s.sendall(b"$%d\r\n%s\r\n" % (len(word), word))
            reply = s.recv(65536)
            while not reply.endswith(b"\r\n"):
                reply += s.recv(65536)
            return reply

    def get(self, key):
        reply = self.command(b"GET", key.encode())
        return None if reply == b"$-1\r\n" else reply.split(b"\r\n", 1)[1][:-2].decode()


class Proxy(Process):
    """Has no deadline, unless the options have one: valgrind is slow."""

    def __init__(self, redis, *options, port=0):
        at = "%s:%d" % (HOST, port)
        url = "redis+unix://localhost" + redis.socket
        super().__init__(*command, "-l", at, "-r", url, "-d", DAY, *options, *driver)
        self.port = int(re.fullmatch(r"listening at [0-9.]+:(\d+)\n", self.line()).group(1))

    def address(self):
        return "%s:%d" % (HOST, self.port)

    def terminate(self):
        self.send(signal.SIGTERM)
        return self.ended()

    def ended(self):
        """After SIGTERM: it exits with 0, nothing is left, and the counters add up."""
        counts, ops = fields(self.line()), fields(self.line())
        print(counts, ops)
        check(self.process.wait() == 0, "exit status", self.process.returncode)
        self.process.stdout.close()
        check(counts["open"] == 0 and counts["running"] == 0, "something is left")
        ends = [counts[k] for k in ("ok", "failed", "cancelled")]
        check(counts["submitted"] == sum(ends), "submitted is not the sum of the ends")
        server = len(driver)  # with -t, the operation that is the server
        check(ops["submitted"] == counts["submitted"] + server, "the bridge's submitted")
        check(ops["ok"] == counts["ok"] + server, "the bridge's ok")
        check(ops["cancelled"] == counts["cancelled"], "the bridge's cancelled")
        check(ops["error"] + ops["shutdown"] == counts["failed"], "the bridge's errors")
        check(ops["panicked"] == 0 and ops["leaked"] == 0, "panicked or leaked")
        return counts

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))


class Client:
    def __init__(self, proxy, receive=None):
        self.sock = socket.socket()
        if receive:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        self.sock.connect((HOST, proxy.port))
        self.lines = self.sock.makefile("r", newline="\n", encoding="latin-1")

    def send(self, text):
        self.sock.sendall(text.encode("latin-1"))

    def line(self):
        return self.lines.readline().rstrip("\n")

    def ask(self, line):
        self.send(line + "\n")
        return self.line()

    def reset(self):
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self):
        self.lines.close()
        self.sock.close()

    def stats(self):
        return fields(self.ask("STATS").partition(" ")[2])

    def await_stats(self, **expected):
        """Until these counters have exactly these values."""
        while True:
            stats = self.stats()
            if all(stats[name] == value for name, value in expected.items()):
                return stats

    def await_more(self, name, more):
        """Until a counter has grown by this much."""
        before = self.stats()[name]
        while self.stats()[name] < before + more:
            pass


class Load(Process):
    first = 0  # each one has its own keys

    def __init__(self, proxy, *options):
        super().__init__(load_program, "-i", str(Load.first), *options, proxy.address())
        Load.first += 1000

    def terminate(self):
        self.send(signal.SIGTERM)
        return self.ended()

    def ended(self):
        counts = fields(self.line())
        print("load", counts)
        check(self.process.wait() == 0 and counts["wrong"] == 0, "a reply was wrong")
        self.process.stdout.close()
        kinds = [counts[k] for k in ("value", "none", "ok", "pong", "busy", "fail")]
        check(counts["requests"] == sum(kinds), "a reply of another kind")
        return counts


# ---- the cases ----


def lines():
    redis = Redis()
    proxy = Proxy(redis)
    client = Client(proxy)
    for line, reply in (
        ("PING", "PONG"),
        ("GET a", "NONE"),
        ("DEL a", "NONE"),
        ("SET a one  two ", "OK"),
        ("GET a", "VALUE one  two "),
        ("GET a", "VALUE one  two "),
        ("SET a 1\r", "OK"),
        ("GET a\r", "VALUE 1"),
        ("SET a ", "OK"),
        ("GET a", "VALUE "),
        ("GET a", "VALUE "),
        ("DEL a", "OK"),
        ("GET a", "NONE"),
        ("SET \xff\xfe \0\x80", "OK"),
        ("GET \xff\xfe", "VALUE \0\x80"),
        ("", "ERR unknown command"),
        ("ping", "ERR unknown command"),
        ("GETS a", "ERR unknown command"),
        ("PING ", "ERR too many words"),
        ("GET", "ERR no key"),
        ("GET ", "ERR no key"),
        ("GET a b", "ERR too many words"),
        ("SET a", "ERR no value"),
        ("SET  a", "ERR no key"),
        ("DEL " + 65 * "k", "ERR the key is too long"),
        ("SET a " + 1025 * "v", "ERR the value is too long"),
        ("SET a " + 100000 * "v", "ERR the line is too long"),
        ("SET %s %s" % (64 * "k", 1024 * "v"), "OK"),
        ("GET " + 64 * "k", "VALUE " + 1024 * "v"),
    ):
        got = client.ask(line)
        check(got == reply, repr(line[:80]), repr(got[:80]), repr(reply[:80]))
    for byte in "SET b 1\nGE":
        client.send(byte)
    check(client.line() == "OK", "one byte at a time")
    client.send("T b\nPING\n" + 200 * "SET b 2\nGET b\n")
    check([client.line(), client.line()] == ["VALUE 1", "PONG"], "the rest of a line")
    check(all((client.line(), client.line()) == ("OK", "VALUE 2") for _ in range(200)), "ahead")
    # what others have set
    redis.command(b"SET", b"long", 1025 * b"v")
    redis.command(b"SET", b"lines", b"one\ntwo")
    redis.command(b"LPUSH", b"list", b"one")
    for key in ("long", "lines", "list"):
        check(client.ask("GET " + key).startswith("FAIL "), key)
    check(client.ask("PING") == "PONG", "PING")
    check(redis.get("b") == "2" and redis.get("a") is None, "redis")
    client.close()
    check(proxy.terminate()["failed"] == 1, "failed")


def load():
    """Every reply is right: with few keys, a small cache, short deadlines, and few operations."""
    redis = Redis()
    for options in ((), ("-m", "20"), ("-d", "1"), ("-q", "3")):
        proxy = Proxy(redis, *options)
        sent = Load(proxy, "-n", "60", "-x", "-k", "16" if options else "2").ended()
        check(options == ("-q", "3") or sent["busy"] == 0, "BUSY without a reason")
        counts = proxy.terminate()
        check(options or counts["hits"] > 0, "no hits")
        check(sent["requests"] <= counts["requests"] <= sent["requests"] + sent["lost"], "requests")
        check(counts["busy"] >= sent["busy"], "busy")


def flood():
    """More connections and requests than are served: each gets its one reply, and those in work get theirs."""
    redis = Redis()
    proxy = Proxy(redis, "-c", "4", "-q", "2")
    control, first, second, third = clients = [Client(proxy) for _ in range(4)]
    check(control.ask("SET hot 1") == "OK" and control.ask("GET hot") == "VALUE 1", "hot")
    control.await_stats(open=4)
    redis.stop()
    first.send("GET a\n")
    second.send("SET b 2\n")
    control.await_stats(running=2)
    for _ in range(100):
        third.send("GET a\nSET a 1\nDEL a\nGET hot\nPING\n")
        got = [third.line() for _ in range(5)]
        check(got == ["BUSY", "BUSY", "BUSY", "VALUE 1", "PONG"], got)
    more = [Client(proxy) for _ in range(20)]
    for client in more:
        client.send("SET c %s\nPING\n" % (1000 * "x"))
    for client in more:
        check([client.line(), client.line()] == ["BUSY", ""], "a connection that is refused")
        client.close()
    redis.go_on()
    check([first.line(), second.line()] == ["NONE", "OK"], "in work")
    check(third.ask("GET b") == "VALUE 2" and third.ask("GET c") == "NONE", "afterwards")
    check(control.stats()["refused"] == 20, "refused")
    for client in clients:
        client.close()
    sent = Load(proxy, "-c", "30", "-n", "30", "-t").ended()
    check(sent["busy"] > 0, "no flood")
    check(proxy.terminate()["busy"] >= 300, "busy")


def slow():
    """A client that does not read its replies is closed; others are served meanwhile."""
    proxy = Proxy(Redis(), "-p", "100")
    control = Client(proxy)
    check(control.ask("SET a " + 1024 * "v") == "OK", "SET")
    slow = Client(proxy, receive=4096)
    slow.sock.setblocking(False)
    with contextlib.suppress(BlockingIOError, ConnectionError):
        while True:
            slow.sock.send(1000 * b"GET a\n")
    check(control.ask("PING") == "PONG", "PING")
    control.await_stats(open=1)
    control.close()
    proxy.terminate()


def gone():
    """Clients that close, reset or are killed cancel what they wait for, and leave nothing behind."""
    redis = Redis()
    proxy = Proxy(redis)
    control = Client(proxy)
    check(control.ask("SET a 0") == "OK", "SET")
    before = proxy.descriptors()
    redis.stop()
    clients = [Client(proxy) for _ in range(6)]
    for i, client in enumerate(clients):
        client.send(("GET a\n", "SET a %d\n" % i)[i % 2])
    killed = [
        Process(sys.executable, __file__, "as-client", str(proxy.port), line, HOST)
        for line in ("GET a", "SET a 7", "DEL b")
    ]
    control.await_stats(running=9, open=10)
    for process in killed:
        process.kill()
    for client in clients[:2]:
        client.reset()
    for client in clients[2:4]:
        client.close()
    for client in clients[4:]:
        client.sock.shutdown(socket.SHUT_WR)
        check(client.line() == "", "a reply to a client that has gone")
        client.close()
    control.await_stats(running=0, open=1, cancelled=9)
    check(proxy.descriptors() == before, "descriptors", proxy.descriptors(), before)
    redis.go_on()
    value = control.ask("GET a")
    check(value[:6] == "VALUE " and value[6:] == redis.get("a"), "afterwards", value, redis.get("a"))
    check(control.ask("SET a 8") == "OK" and control.ask("GET a") == "VALUE 8", "SET and GET")
    control.close()
    proxy.terminate()


def hung():
    """redis stops for longer than the deadline, again and again."""
    redis = Redis()
    proxy = Proxy(redis, "-d", "100")
    control = Client(proxy)
    load = Load(proxy)
    for _ in range(5):
        control.await_more("ok", 300)
        redis.stop()
        control.await_more("cancelled", 20)
        redis.go_on()
    control.await_more("ok", 300)
    sent = load.terminate()
    check(sent["fail"] > 0 and sent["lost"] == 0, "FAIL", sent)
    control.close()
    proxy.terminate()


def redis():
    """redis is killed and started again: meanwhile FAIL, and hits; then the proxy works again."""
    server = Redis()
    proxy = Proxy(server)
    control = Client(proxy)
    check(control.ask("SET hot 1") == "OK" and control.ask("GET hot") == "VALUE 1", "hot")
    load = Load(proxy)
    for _ in range(4):
        control.await_more("ok", 300)
        server.kill()
        control.await_more("failed", 300)
        check(control.ask("GET hot") == "VALUE 1", "a hit while redis is away")
        check(control.ask("GET cold").startswith("FAIL "), "a miss while redis is away")
        server = Redis()
    control.await_more("ok", 300)
    sent = load.terminate()
    check(sent["fail"] > 0 and sent["lost"] == 0, "FAIL", sent)
    control.close()
    proxy.terminate()


def client():
    """A process of clients is killed under load."""
    proxy = Proxy(Redis())
    control = Client(proxy)
    check(control.ask("GET a") == "NONE", "GET")
    before = proxy.descriptors()
    for _ in range(4):
        load = Load(proxy, "-b", "64")
        control.await_more("ok", 300)
        load.kill()
        control.await_stats(open=1, running=0)
        check(proxy.descriptors() == before, "descriptors", proxy.descriptors(), before)
    Load(proxy, "-n", "30").ended()
    control.close()
    proxy.terminate()


def proxy():
    """The proxy is killed under load and started again: what it has acknowledged is in redis."""
    server = Redis()
    number, acknowledged = 0, {}
    proxy = Proxy(server)
    load = Load(proxy, "-t")
    for _ in range(5):
        client = Client(proxy)
        for _ in range(100):
            number += 1
            check(client.ask("SET number-%d %d" % (number, number)) == "OK", "SET")
            acknowledged["number-%d" % number] = str(number)
        client.send("SET last 1\n")
        proxy.kill()
        client.close()
        for key, value in acknowledged.items():
            check(server.get(key) == value, "lost:", key)
        proxy = Proxy(server, port=proxy.port)
    control = Client(proxy)
    control.await_more("ok", 300)
    control.close()
    sent = load.terminate()
    check(sent["lost"] > 0, "nobody was killed", sent)
    proxy.terminate()


def terminate():
    """SIGTERM: what runs gets its reply within the grace; idle connections end at once. After the grace it is
    cancelled."""
    redis = Redis()
    proxy = Proxy(redis, "-g", DAY)
    idle, client = Client(proxy), Client(proxy)
    check(idle.ask("PING") == "PONG", "PING")
    redis.stop()
    client.send("SET a 1\nSET b 1\n")
    idle.await_stats(running=1)
    proxy.send(signal.SIGTERM)
    check(idle.line() == "", "the idle connection")
    idle.close()
    redis.go_on()
    check(client.line() == "OK", "the reply")
    client.close()
    proxy.ended()
    check(redis.get("a") == "1", "redis")

    proxy = Proxy(redis, "-g", "1")
    client = Client(proxy)
    check(client.ask("GET a") == "VALUE 1", "GET")
    redis.stop()
    client.send("SET a 2\n")
    Client(proxy).await_stats(running=1)
    counts = proxy.terminate()
    check(counts["cancelled"] + counts["failed"] == 1, "cancelled")
    redis.go_on()

    proxy = Proxy(redis)
    load = Load(proxy, "-t")
    Client(proxy).await_more("ok", 300)
    proxy.terminate()
    load.terminate()


# ---- another process ----


def run_client(port, line):
    sock = socket.create_connection((sys.argv[4], int(port)))
    sock.sendall(line.encode() + b"\n")
    sock.recv(1)


if __name__ == "__main__":
    if sys.argv[1] == "as-client":
        run_client(*sys.argv[2:4])
        sys.exit()
    cases = (lines, load, flood, slow, gone, hung, redis, client, proxy, terminate)
    redis_server, load_program, *command = sys.argv[3:]
    driver = ["-t"] if sys.argv[2] == "tokio" else []
    with tempfile.TemporaryDirectory() as folder:
        try:
            {case.__name__: case for case in cases}[sys.argv[1]]()
        finally:
            for process in Process.all:
                process.kill()
