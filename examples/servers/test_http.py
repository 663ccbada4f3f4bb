# SPDX-License-Identifier: MIT OR Apache-2.0
"""test_http.py http [LAUNCHER...] PROGRAM: what clients of http observe, curl among them, whichever form it has."""
import shutil
import subprocess
import threading

from test import SHORT, Client, at_once, check, leave_nothing, rest_or_reset, run, start, stuff

HOST = "Host: here\r\n"
GET = "GET / HTTP/1.1\r\n" + HOST + "\r\n"
PAGE = "Hello, world!\n"


class Browser(Client):
    def answer(self, body=True):
        """The status, the fields and the body of the next answer."""
        status = int(self.line().split()[1])
        fields = {}
        while (line := self.line()) != "\r\n":
            fields[line.partition(":")[0]] = line.partition(":")[2].strip()
        size = int(fields["Content-Length"])
        return status, fields, self.lines.read(size) if body else size

    def page(self):
        check(self.answer()[::2] == (200, PAGE), "not the page")


def http_kept():
    """One request after the other, and many before the first answer; in any pieces."""
    with start() as server:
        client = Browser(server)
        for _ in range(3):
            client.send(GET)
            client.page()
        for byte in GET:
            client.send(byte)
        client.page()
        sender = threading.Thread(target=client.send, args=("\r\n" + 1000 * GET + GET[:-2],))
        sender.start()
        for _ in range(1000):
            client.page()
        sender.join()
        client.send("\r\n")
        client.page()
        client.send(GET.replace("GET", "HEAD") + GET)
        status, fields, size = client.answer(body=False)
        check((status, size) == (200, len(PAGE)) and "Connection" not in fields, "HEAD")
        client.page()
        client.send("POST / HTTP/1.1\r\n" + HOST + "Content-Length: 5000\r\n\r\n" + 5000 * "x" + GET)
        status, fields, _ = client.answer()
        check(status == 405 and fields["Allow"] == "GET, HEAD", "POST")
        client.page()
        client.send(GET)
        client.shut()
        client.page()
        check(client.rest() == "", "half close")


def http_closed():
    """When the connection ends: as the request says, and after an error."""
    ends = (
        ("GET / HTTP/1.0\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\n" + HOST + "connection: keep-alive , Close\r\n\r\n", 200),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\n" + 2 * HOST + "\r\n", 400),
        ("GET / HTTP/2.0\r\n", 505),
        ("GET /\r\n", 400),
        ("GET  HTTP/1.1\r\n", 400),
        ("GET / HTTP/1.1\r\nno field\r\n", 400),
        ("GET / HTTP/1.1\r\nHost : here\r\n", 400),
        ("GET / HTTP/1.1\r\nContent-Length: -1\r\n", 400),
        ("GET / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n", 400),
        ("GET / HTTP/1.1\r\n" + 2 * "Content-Length: 1\r\n", 400),
        ("POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n", 501),
        ("GET / HTTP/1.1\r\nX: " + 2029 * "x", 431),
    )
    with start() as server:
        for request, status in ends:
            client = Browser(server)
            client.send(request)
            got, fields, body = client.answer()
            check(got == status and fields["Connection"] == "close", repr(request), got, fields)
            check(body == (PAGE if status == 200 else "") and client.rest() == "", repr(request), body)
        client = Browser(server)
        for _ in range(2):
            client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            status, fields, body = client.answer()
            check((status, fields["Connection"], body) == (200, "keep-alive", PAGE), "1.0, kept")


def http_curl():
    if not shutil.which("curl"):
        raise SystemExit("FAIL curl is missing")
    with start() as server:
        url = "http://127.0.0.1:%d/" % server.port
        curl = ["curl", "--silent", "--show-error", "--max-time", "60", "--write-out", "%{http_code} %{num_connects}\n"]
        got = subprocess.run(curl + [url, url + "a?b", url], stdout=subprocess.PIPE, text=True, check=True)
        check(got.stdout == "".join(PAGE + "200 %d\n" % new for new in (1, 0, 0)), got.stdout)
        got = subprocess.run(curl + ["--data", "x", url, "--next"] + curl[1:] + ["--head", "--output", "/dev/null", url],
                             stdout=subprocess.PIPE, text=True, check=True)
        check([line.split()[0] for line in got.stdout.splitlines()] == ["405", "200"], got.stdout)


def http_many():
    with start() as server:

        def work(_):
            client = Browser(server)
            for _ in range(50):
                client.send(GET)
                client.page()

        at_once(work, 20)


def http_slow():
    with start(SHORT) as server:
        clients = [Client(server) for _ in range(5)]
        at_once(lambda i: stuff(clients[i].sock, GET.encode()), 5)


def http_idle():
    with start(SHORT) as server:
        client = Client(server)
        client.send("GET")
        check(rest_or_reset(client.sock) == b"", "the end")


def http_gone():
    with start() as server:

        def client():
            c = Browser(server)
            c.send(GET)
            c.page()
            c.send(GET[:9])
            return c

        client()
        leave_nothing(server, client)


def http_terminate():
    with start() as server:
        clients = [Browser(server) for _ in range(20)]
        for client in clients:
            client.send(GET)
            client.page()
        server.terminate()
        for client in clients:
            check(client.rest() == "", "the end")


if __name__ == "__main__":
    run(globals())
