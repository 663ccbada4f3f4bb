# SPDX-License-Identifier: MIT OR Apache-2.0
"""test.py CASE [LAUNCHER...] SEALER: what sealer promises, when any of its parties is killed.

Nothing sleeps or measures time. What is awaited is a line of a process, or a counter of STAT."""
import http.server
import os
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading

ENDLESS = 2**64 - 1  # rounds: runs until it is stopped
RECORD = 4 * 17


def mix(x):
    mask = 2**64 - 1
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 & mask
    x = (x ^ x >> 27) * 0x94D049BB133111EB & mask
    return x ^ x >> 31


def record(seq, n):
    """The text that seals n."""
    seal = n
    for i in range(n):
        seal = mix(seal + i & 2**64 - 1)
    check = mix(mix(mix(seq) ^ n) ^ seal)
    return b"%016x %016x %016x %016x\n" % (seq, n, seal, check)


def check(good, *what):
    if not good:
        raise SystemExit("FAIL " + " ".join(map(str, what)))


class Process:
    """A program that prints where it listens, and is killed at the end if it still runs."""

    all = []

    def __init__(self, *args):
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, text=True)
        Process.all.append(self)

    def line(self):
        return self.process.stdout.readline()

    def kill(self):
        self.process.kill()
        self.process.wait()


def fields(text):
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2])))


class Sealer(Process):
    def __init__(self, journal, *options):
        super().__init__(*command, *options, journal)
        line = self.line()
        port, records = re.fullmatch(r"listening at 127.0.0.1:(\d+), (\d+) records\n", line).groups()
        self.port, self.records = int(port), int(records)

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    def ended(self):
        """After SIGTERM: it exits with 0, nothing is left, and the counters add up."""
        jobs, ops = fields(self.line()), fields(self.line())
        print(jobs, ops)
        check(self.process.wait() == 0, "exit status", self.process.returncode)
        ends = jobs["unstarted"] + jobs["sealed"] + jobs["stopped"] + jobs["failed"]
        check(jobs["accepted"] == ends, "accepted is not the sum of the ends")
        check(jobs["started"] == ends - jobs["unstarted"], "started")
        check(jobs["args"] == 0 and jobs["tasks"] == 0 and ops["leaked"] == 0, "something is left")
        ends = sum(ops[k] for k in ("ok", "error", "cancelled", "panicked", "shutdown"))
        check(ops["submitted"] == ends, "submitted is not the sum of the ends")
        return jobs

    def descriptors(self):
        return len(os.listdir("/proc/%d/fd" % self.process.pid))


class Client:
    def __init__(self, sealer):
        self.sock = socket.create_connection(("127.0.0.1", sealer.port))
        self.lines = self.sock.makefile("r")

    def send(self, line):
        self.sock.sendall(line.encode() + b"\n")

    def ask(self, line):
        self.send(line)
        return self.lines.readline().rstrip("\n")

    def seal(self, n):
        words = self.ask("SEAL %d" % n).split()
        check(len(words) == 2 and words[0] == "OK", "SEAL", n, words)
        return int(words[1])

    def stat(self):
        return fields(self.ask("STAT"))

    def await_stat(self, **expected):
        while True:
            stat = self.stat()
            if all(stat[name] == value for name, value in expected.items()):
                return stat


def read_journal():
    """The records, and whether each is complete and in its place."""
    with open(journal, "rb") as f:
        text = f.read()
    found = [text[i : i + RECORD] for i in range(0, len(text), RECORD)]
    return [int(r.split()[1], 16) for r in found if len(r) == RECORD], [
        i for i, r in enumerate(found) if len(r) != RECORD or r != record(i + 1, int(r.split()[1], 16))
    ]


# ---- the cases ----


def seal():
    sealer = Sealer(journal)
    client = Client(sealer)
    check(client.ask("PING") == "PONG", "PING")
    check([client.seal(n) for n in (1, 0, 5000)] == [1, 2, 3], "numbers")
    for line in ("SEAL", "SEAL x", "SEAL 1 2", "ping", ""):
        check(client.ask(line) == "ERR unknown command", line)
    client.send("PING\nSEAL 7\nPING")  # ahead of the replies
    check(client.lines.readline() == "PONG\n" and client.lines.readline() == "OK 4\n", "ahead")
    check(client.ask("") == "PONG", "the rest of a line")
    check(sealer.terminate()["sealed"] == 4, "sealed")
    check(read_journal() == ([1, 0, 5000, 7], []), "journal", read_journal())
    check(Sealer(journal).records == 4, "restart")


def crash():
    """Killed between any two instructions, six times: what was acknowledged is there, once."""
    number = iter(range(10**6))  # each is sealed once at most
    acknowledged, refused = {}, []

    def load(sealer, oks):
        client = Client(sealer)
        try:
            while True:
                n = next(number)
                words = client.ask("SEAL %d" % n).split()
                if not words:
                    return
                if words[0] != "OK":
                    refused.append(words)  # a thread cannot fail the test
                    return
                acknowledged[n] = int(words[1])
                oks.release()
        except ConnectionError:
            return
        finally:
            oks.release()

    for _ in range(6):
        sealer = Sealer(journal)
        oks = threading.Semaphore(0)
        threads = [threading.Thread(target=load, args=(sealer, oks)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for _ in range(random.randrange(1, 60)):
            oks.acquire()
        sealer.kill()
        for thread in threads:
            thread.join()
        after = Sealer(journal)
        found, bad = read_journal()
        check(not refused, "refused:", refused)
        check(not bad, "not complete:", bad)
        check(after.records == len(found), "records", after.records, len(found))
        check(len(set(found)) == len(found), "a record is there twice")
        for n, seq in acknowledged.items():
            check(0 < seq <= len(found) and found[seq - 1] == n, "lost:", n, seq)
        after.terminate()
    print(len(acknowledged), "acknowledged,", len(found), "in the journal")


def torn():
    """What a crash may leave behind the last record is removed, and overwritten by the next one."""
    first = Sealer(journal)
    check(Client(first).seal(10) == 1, "first")
    first.kill()
    whole = record(2, 11)
    wrong = whole[:40] + b"0" + whole[41:]
    check(wrong != whole, "wrong")
    for tail in (whole[:1], whole[:-1], wrong, record(3, 11), b"\0" * RECORD, wrong + whole):
        with open(journal, "ab") as f:
            f.write(tail)
        sealer = Sealer(journal)
        check(sealer.records == 1 and os.path.getsize(journal) == RECORD, "tail", tail)
        sealer.terminate()
    sealer = Sealer(journal)
    check(Client(sealer).seal(12) == 2, "second")
    check(read_journal() == ([10, 12], []), read_journal())
    other = subprocess.run([*command, journal], stdout=subprocess.PIPE)
    check(other.returncode == 1 and not other.stdout, "two servers use one journal")


def fill(sealer, control, start):
    """Four jobs that run, and two in the queue: start(n) gives a client that waits for SEAL n."""
    clients = []
    for i in range(6):
        clients.append(start(ENDLESS))
        control.await_stat(accepted=i + 1, started=min(i + 1, 4))
    return clients


def busy():
    """All threads run and the queue is full: refused at once, and the loop answers."""
    sealer = Sealer(journal, "-q", "2", "-g", "0")
    control = Client(sealer)

    def start(n):
        client = Client(sealer)
        client.send("SEAL %d" % n)
        return client

    clients = fill(sealer, control, start)
    for i in range(100):
        check(control.ask("SEAL 1") == "BUSY", "BUSY")
        check(control.ask("PING") == "PONG", "PING")
    stat = control.stat()
    check(stat["busy"] == 100 and stat["started"] == 4, stat)
    check(stat["args"] == 6, "arguments that were refused are not freed:", stat)
    # tasks are cancelled one by one: a thread whose job has stopped may start one of the queue before that
    # is cancelled, too
    jobs = sealer.terminate()
    check(jobs["stopped"] + jobs["unstarted"] == 6 and jobs["stopped"] >= 4, jobs)
    check(read_journal() == ([], []), "journal")
    del clients


def gone():
    """Clients that are killed leave nothing behind, and what they had in the queue does not start."""
    sealer = Sealer(journal, "-q", "2")
    control = Client(sealer)
    start = control.stat()
    descriptors = sealer.descriptors()
    clients = fill(
        sealer,
        control,
        lambda n: Process(sys.executable, __file__, "as-client", str(sealer.port), "SEAL %d" % n),
    )
    check(control.stat()["tasks"] == start["tasks"] + 6, "tasks")
    for client in clients[4:]:
        client.kill()
    control.await_stat(unstarted=2, started=4, args=4)
    for client in clients[:4]:
        client.kill()
    control.await_stat(stopped=4, started=4, args=0, tasks=start["tasks"])
    check(sealer.descriptors() == descriptors, "descriptors", sealer.descriptors(), descriptors)
    check(control.seal(3) == 1, "the threads work on")
    sealer.terminate()


def start_receiver(mode):
    receiver = Process(sys.executable, __file__, "as-receiver", mode)
    return receiver, "http://127.0.0.1:%d/sealed" % int(receiver.line())


def announce():
    receiver, url = start_receiver("answer")
    sealer = Sealer(journal, "-a", url)
    client = Client(sealer)
    for n in range(20):
        seq = client.seal(n)
        check(receiver.line().encode() == record(seq, n), "announced", n)
    jobs = sealer.terminate()
    check(jobs["announced"] == 20 and jobs["unannounced"] == 0, jobs)


def receiver():
    """The receiver is killed while it has a request: records are sealed as before."""
    process, url = start_receiver("hang")
    sealer = Sealer(journal, "-a", url)
    client = Client(sealer)
    for n in range(5):
        client.seal(n)
    check(process.line().encode() == record(1, 0), "the first request")
    check(client.stat()["unannounced"] == 0, "before")
    process.kill()
    for n in range(5, 10):
        client.seal(n)
    client.await_stat(unannounced=10)
    jobs = sealer.terminate()
    check(jobs["announced"] == 0 and jobs["sealed"] == 10, jobs)
    check(read_journal() == (list(range(10)), []), read_journal())


def terminate():
    """SIGTERM: what runs gets its reply within the grace; idle connections end at once."""
    sealer = Sealer(journal, "-g", "100000")
    idle, client = Client(sealer), Client(sealer)
    client.send("SEAL 20000000")
    idle.await_stat(started=1)
    sealer.process.send_signal(signal.SIGTERM)
    check(idle.lines.readline() == "", "the idle connection")
    check(client.lines.readline() == "OK 1\n", "the reply")
    check(client.lines.readline() == "", "the connection")
    sealer.ended()


# ---- other processes ----


def run_client(port, line):
    sock = socket.create_connection(("127.0.0.1", int(port)))
    sock.sendall(line.encode() + b"\n")
    sock.recv(1)


def run_receiver(mode):
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            print(body.decode(), end="", flush=True)
            if mode == "hang":
                signal.pause()
            self.send_response(204)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1] == "as-client":
        run_client(*sys.argv[2:])
    elif sys.argv[1] == "as-receiver":
        run_receiver(*sys.argv[2:])
    else:
        cases = (seal, crash, torn, busy, gone, announce, receiver, terminate)
        command = sys.argv[2:]
        with tempfile.TemporaryDirectory() as folder:
            journal = os.path.join(folder, "journal")
            try:
                {case.__name__: case for case in cases}[sys.argv[1]]()
            finally:
                for process in Process.all:
                    process.kill()
