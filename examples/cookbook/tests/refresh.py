# SPDX-License-Identifier: MIT OR Apache-2.0
import http.server
import signal
import socket
import subprocess
import threading

from program import Program, check, refused, refuses


class Site(http.server.ThreadingHTTPServer):
    """Has one page, /rate. Its requests wait while `open` is not set."""

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Page)
        self.answer = 200, "2\n"
        self.open = threading.Event()
        self.open.set()
        self.paths = set()
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish(self):
        self.shutdown()
        self.server_close()


class Page(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.paths.add(self.path)
        self.server.open.wait()
        try:
            status, text = self.server.answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())
        except OSError:
            pass  # it did not wait for the answer

    def log_message(self, *_):
        pass


class Refresh(Program):
    def __init__(self, command, site):
        super().__init__(command, "127.0.0.1:%d" % site.server_port, 10)
        self.listening()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.connect(("127.0.0.1", self.port))

    def ask(self, amount):
        self.sock.send(b"%d" % amount)
        return self.sock.recv(100).decode()

    def __exit__(self, *failed):
        self.sock.close()
        self.signal(signal.SIGTERM)
        super().__exit__(*failed)


def test_the_rate_follows_the_page(command):
    site = Site()
    with Refresh(command, site) as program:
        for rate in 2, 3, 500:
            site.answer = 200, "%d\r\n" % rate
            program.until("the rate is %d" % rate)
            check(program.ask(7) == str(7 * rate) and program.ask(10**12) == "unknown", rate)
            check(program.ask(10**25) == "unknown", "more than a number holds")
            for text in b"", b"x", b"7x":
                program.sock.send(text)
                check(program.sock.recv(100) == b"unknown", text)
        check(site.paths == {"/rate"}, site.paths)
    site.finish()


def test_the_old_rate_stays(command):
    site = Site()
    with Refresh(command, site) as program:
        program.expect("the rate is 2")
        for status, text in (
            (500, "3\n"), (200, "nonsense\n"), (200, "3 4\n"), (200, "\n"), (200, "-1\n"), (200, 20 * "9" + "\n"),
            (200, "12"), (200, "12\r"), (200, "3\n4\n"),
        ):
            site.answer = status, text
            program.expect("no new rate: EPROTO")
            check(program.ask(7) == "14", site.answer)
            site.answer = 200, "2\n"
            program.expect("the rate is 2")
        site.finish()
        program.until("no new rate: ECONNREFUSED")
        check(program.ask(8) == "16", "without a server")
        site = Site(site.server_port)
        site.answer = 200, "5\n"
        program.until("the rate is 5")
        check(program.ask(8) == "40", "the server is back")
    site.finish()


def test_queries_do_not_wait(command):
    site = Site()
    site.open.clear()
    with Refresh(command, site) as program:
        check(program.ask(7) == "unknown", "the first request is not answered")
        program.sock.send(100 * b"7")  # no query
        program.expect("no new rate: ETIMEDOUT")
        check(program.ask(7) == "unknown", "the next one is not answered either")
        site.open.set()
        program.until("the rate is 2")
        check(program.ask(7) == "14", "now it is")
    site.finish()


def test_a_request_that_the_shutdown_cancels(command):
    """It is no failure of the server, and is not reported."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with Program(command, "127.0.0.1:%d" % listener.getsockname()[1], 10) as program:
            program.listening()
            with listener.accept()[0]:
                program.signal(signal.SIGTERM)
                check("ECANCELED" not in program.rest(), "output")


def test_a_task_that_ends_ends_the_program(command):
    with Program(command, "127.0.0.1:1", 0, status=1, stderr=subprocess.PIPE) as program:
        check("refresh: " in program.process.communicate()[1], "the period is no period")


def test_wrong_arguments(command):
    refused(command)
    refuses(command, "127.0.0.1:1")
