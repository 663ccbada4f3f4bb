# SPDX-License-Identifier: MIT OR Apache-2.0
import signal
import socket

from program import Client, Program, check, refuses

ANY = "127.0.0.1:0"
DAY = 24 * 3600 * 1000


def put(client, size):
    client.send("PUT %d\n" % size + size * "x")
    check(client.line() == "stored %d\n" % size, "answer", size)


def begin(program, idle):
    """A client whose request has begun: one that was sent later was answered."""
    client = Client(program)
    client.send("PUT 10\n12345")
    put(idle, 0)
    return client


def refused(program):
    try:
        socket.create_connection(("127.0.0.1", program.port)).close()
    except ConnectionRefusedError:
        return True
    return False


def test_requests_that_have_begun_are_finished(command):
    with Program(command, ANY, DAY) as program:
        program.listening()
        idle, fresh = Client(program), Client(program)
        put(idle, 100000)
        clients = [begin(program, idle) for _ in range(10)]
        program.signal(signal.SIGTERM)
        program.expect("draining")
        check(refused(program), "it accepts nobody")
        check(idle.rest() == "" and fresh.rest() == "", "idle connections are closed")
        idle.shut()
        fresh.shut()
        for client in clients:
            client.send("67890PUT 5\n12345")  # and one that has not begun
            check(client.rest() == "stored 10\n", "the request is finished, the next one is not")
            client.shut()
        program.expect("10 requests finished, 0 cut off", "")


def test_the_deadline(command):
    with Program(command, ANY, 50, status=1) as program:
        program.listening()
        idle = Client(program)
        client = begin(program, idle)
        program.signal(signal.SIGTERM)
        client.await_ended()
        program.expect("draining", "0 requests finished, 1 cut off", "")


def test_a_wrong_request(command):
    with Program(command, ANY) as program:
        program.listening()
        for wrong in "GET 1\n", "PUT x\n", "PUT -1\n", "PUT 1x\n", "PUT 1048577\n", "PUT 9999999990\n", 5000 * "x":
            client = Client(program)
            client.send(wrong)
            client.await_ended()
        put(Client(program), 1048576)
        client = Client(program)
        client.send("PUT 10\n12345")
        client.shut()
        check(client.rest() == "", "the end in a request")
        program.signal(signal.SIGTERM)
        program.expect("draining", "0 requests finished, 0 cut off", "")


def test_a_client_that_does_not_close(command):
    """It is not waited for until the time of the requests is over."""
    with Program(command, ANY, DAY) as program:
        idle = Client(program.listening())
        put(idle, 10)
        program.signal(signal.SIGTERM)
        check(idle.rest() == "", "the server has ended its direction")
        program.expect("draining", "0 requests finished, 0 cut off", "")


def test_wrong_arguments(command):
    refuses(command, ANY)
