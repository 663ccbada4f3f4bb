# SPDX-License-Identifier: MIT OR Apache-2.0
import csv
import signal
import subprocess

from program import Client, Program, check, refuses

ANY = "127.0.0.1:0"
RANGE = "ERR value is not an integer or out of range\n"
UNKNOWN = "ERR unknown command, or wrong number of arguments\n"


def tool(server, name, *args):
    """What redis-cli or redis-benchmark prints."""
    command = [name, "-p", str(server.port), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True)
    check(done.returncode == 0 and not done.stderr, name, args, done.stderr)
    return done.stdout


def exchange(client, request, reply):
    client.sock.sendall(request)
    got = b""
    while len(got) < len(reply) and (some := client.sock.recv(65536)):
        got += some
    check(got == reply, request, got)


def test_redis_benchmark(command):
    with Program(command, ANY) as server:
        server.listening()
        for pipelined in (1, 16):
            size = "-n", 4800, "-P", pipelined
            out = tool(server, "redis-benchmark", "-t", "ping,set,get,incr", "-r", 100, "--csv", *size)
            names = [row[0] for row in csv.reader(out.splitlines())]
            check(names == ["test", "PING_INLINE", "PING_MBULK", "SET", "GET", "INCR"], names)
            tool(server, "redis-benchmark", *size, "INCR", "hits")
        check(tool(server, "redis-cli", "GET", "hits") == "9600\n", "each request counts once")
        server.signal(signal.SIGTERM)


def test_redis_cli(command):
    with Program(command, ANY) as server:
        server.listening()
        for line, reply in (
            ("SET a 1", "OK"), ("INCR a", "2"), ("GET a", "2"), ("DEL a", "1"), ("DEL a", "0"), ("GET a", ""),
            ("INCR a", "1"), ("set a x", "OK"), ("INCR a", RANGE), ("SET a -1", "OK"), ("INCR a", "0"),
            ("SET a " + 19 * "9", "OK"), ("INCR a", RANGE), ("PING", "PONG"), ("PONG", UNKNOWN), ("GET", UNKNOWN),
        ):
            check(tool(server, "redis-cli", *line.split()) == reply + "\n", line)
        big = 15000 * "v"
        check(tool(server, "redis-cli", "SET", "big", big) == "OK\n", "a large value")
        check(tool(server, "redis-cli", "GET", "big") == big + "\n", "a large value")
        server.signal(signal.SIGINT)


def test_requests_in_pieces(command):
    with Program(command, ANY) as server:
        server.listening()
        client, request = Client(server), b"*3\r\n$3\r\nSET\r\n$4\r\nk\r\n1\r\n$0\r\n\r\n"
        for i in range(len(request)):
            client.sock.sendall(request[i : i + 1])
        exchange(client, b"", b"+OK\r\n")
        exchange(client, b" get  nothing\t\r\n\r\nPING\n*0\r\n", b"$-1\r\n+PONG\r\n")
        value = bytes(range(256)) * 32  # with NUL, CR and LF
        exchange(client, b"*3\r\n$3\r\nSET\r\n$1\r\nv\r\n$8192\r\n" + value + b"\r\n", b"+OK\r\n")
        get, reply = b"*2\r\n$3\r\nGET\r\n$1\r\nv\r\n", b"$8192\r\n" + value + b"\r\n"
        exchange(client, 100 * get, 100 * reply)  # more than its buffer for replies
        server.signal(signal.SIGTERM)
        check(client.rest() == "", "the end")


def test_what_is_no_request(command):
    with Program(command, ANY) as server:
        server.listening()
        bulk = b"*1\r\n"
        for bad in b"*x\r\n", b"*9\r\n", b"*-1\r\n", b"*1\n", bulk + b":1\r\n", bulk + b"$-1\r\n", bulk + b"$99999\r\n":
            client = Client(server)
            exchange(client, b"PING\r\n" + bad, b"+PONG\r\n-ERR Protocol error\r\n")
            check(client.rest() == "", "it closes", bad)
        for big in (16384 * b"x", b"*2\r\n$3\r\nGET\r\n$16384\r\n" + 16384 * b"x"):
            client = Client(server)
            client.sock.sendall(big)
            client.await_ended()
        check(Client(server).ask("PING") == "+PONG\r", "others go on")
        server.signal(signal.SIGTERM)


def test_a_client_that_does_not_read_is_closed(command):
    with Program(command, ANY, 100) as server:
        client = Client(server.listening(), receive=4096)
        client.send_until_closed("PING\r\n")
        check(Client(server).ask("PING") == "+PONG\r", "others go on")
        server.signal(signal.SIGTERM)


def test_wrong_arguments(command):
    refuses(command, ANY)
