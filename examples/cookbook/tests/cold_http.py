# SPDX-License-Identifier: MIT OR Apache-2.0
import http.server
import os
import resource
import signal
import threading

from program import Client, Program, check, refuses


class Slow(http.server.BaseHTTPRequestHandler):
    """Answers when the case says so."""

    asked, answer = threading.Event(), threading.Event()

    def do_GET(self):
        self.asked.set()
        self.answer.wait()
        body = b"the body"
        self.send_response(200 if self.path == "/good" else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def serve(path):
    Slow.asked.clear()
    Slow.answer.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that has left
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, "http://127.0.0.1:%d%s" % (server.server_address[1], path)


def test_others_are_served_while_a_request_runs(command):
    for path, status in (("/good", 200), ("/bad", 404)):
        server, url = serve(path)
        with server, Program(command, url, "127.0.0.1:0") as program:
            cold, hot = Client(program.listening()), Client(program)
            cold.send("fetch\n")
            Slow.asked.wait()
            check(hot.ask("hello") == "you said hello", "while the request runs")
            Slow.answer.set()
            check(cold.line() == "status %d, 8 bytes\n" % status, path)
            program.signal(signal.SIGTERM)
            server.shutdown()


def test_a_shutdown_does_not_wait_for_the_request(command):
    server, url = serve("/good")
    with server, Program(command, url, "127.0.0.1:0") as program:
        client = Client(program.listening())
        client.send("fetch\n")
        Slow.asked.wait()
        program.signal(signal.SIGTERM)
        check(client.rest() == "", "the connection is closed")
        server.shutdown()
    Slow.answer.set()


def test_nobody_answers(command):
    with Program(command, "http://127.0.0.1:1/", "127.0.0.1:0") as program:
        check(Client(program.listening()).ask("fetch") == "failed: NART_EHTTP_CONNECT", "a refused connection")
        program.signal(signal.SIGTERM)


def test_no_descriptor_for_a_client(command):
    """Clients that cannot be accepted wait until another one has ended."""
    with Program(command, "http://127.0.0.1:1/", "127.0.0.1:0") as program:
        program.listening()
        clients = [Client(program)]
        check(clients[0].ask("hello") == "you said hello", "one")
        used = max(map(int, os.listdir("/proc/%d/fd" % program.process.pid)))
        resource.prlimit(program.process.pid, resource.RLIMIT_NOFILE, (used + 1, used + 1))
        clients += [Client(program) for _ in range(4)]
        for client in clients:
            check(client.ask("hello") == "you said hello", "once the one before has left")
            client.lines.close()
            client.sock.close()
        program.signal(signal.SIGTERM)


def test_a_client_that_does_nothing_is_closed(command):
    with Program(command, "http://127.0.0.1:1/", "127.0.0.1:0", 100) as program:
        check(Client(program.listening()).rest() == "", "it sends nothing")
        client = Client(program, receive=4096)
        client.send_until_closed("x\n")
        check(Client(program).rest() == "", "it still serves")
        program.signal(signal.SIGTERM)


def test_a_request_that_takes_too_long(command):
    server, url = serve("/good")
    with server, Program(command, url, "127.0.0.1:0", 60000, 100) as program:
        check(Client(program.listening()).ask("fetch") == "failed: NART_EHTTP_TIMEOUT", "it is not answered")
        program.signal(signal.SIGTERM)
        Slow.answer.set()
        server.shutdown()


def test_wrong_arguments(command):
    for timeouts in (), (1,):
        refuses(command, "http://127.0.0.1:1/", "127.0.0.1:0", *timeouts)
