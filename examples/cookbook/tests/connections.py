# SPDX-License-Identifier: MIT OR Apache-2.0
import signal

from program import Client, Program, check, refuses


def connect(program):
    """A client, and its number."""
    client = Client(program)
    greeting = client.line().split()
    check(greeting[:2] == ["you", "are"], greeting)
    return client, greeting[2]


def test_each_connection_is_a_task(command):
    with Program(command, "127.0.0.1:0") as program:
        program.listening()
        clients = [connect(program) for _ in range(50)]
        check(len({ident for _, ident in clients}) == 50, "a number is used twice")
        for client, ident in reversed(clients):
            check(client.ask("I am " + ident) == "I am " + ident, "echo", ident)
        client, ident = clients[0]
        client.shut()
        check(client.rest() == "", "half close")
        program.expect(ident + " ends: NART_EEOF")
        program.signal(signal.SIGTERM)
        for client, _ in clients[1:]:
            check(client.rest() == "goodbye\n", "goodbye")
            client.shut()
        ends = sorted(program.rest().splitlines())
        check(ends == sorted(ident + " ends: ECANCELED" for _, ident in clients[1:]), ends)


def test_one_cancels_another(command):
    with Program(command, "127.0.0.1:0") as program:
        program.listening()
        (one, its_id), (other, others_id) = connect(program), connect(program)
        check(one.ask("cancel " + others_id) == "done", "cancel")
        check(other.rest() == "goodbye\n", "goodbye")
        other.shut()
        program.expect(others_id + " ends: ECANCELED")
        for old in others_id, "0", "3", "x", 30 * "9":
            check(one.ask("cancel " + old) == "no such connection", old)
        check(one.ask("still here") == "still here", "the others continue")
        one.send("cancel " + its_id + "\n" + 20000 * "unread\n")  # itself: the answer is a goodbye
        check(one.rest() == "goodbye\n", "itself")
        one.shut()
        program.expect(its_id + " ends: ECANCELED")
        program.signal(signal.SIGTERM)


def test_lines_that_arrive_together(command):
    with Program(command, "127.0.0.1:0") as program:
        client, _ = connect(program.listening())
        longest = 1023 * "x"
        client.send("a\nb\r\n\n" + longest + "\nthe last")
        client.shut()
        check(client.rest() == "a\nb\n\n" + longest + "\nthe last\n", "lines")
        program.signal(signal.SIGTERM)


def test_one_that_sends_nothing_is_closed(command):
    with Program(command, "127.0.0.1:0", 100) as program:
        client, number = connect(program.listening())
        check(client.rest() == "", "closed")
        program.expect(number + " ends: ETIMEDOUT")
        program.signal(signal.SIGTERM)


def test_one_that_does_not_read_is_closed(command):
    with Program(command, "127.0.0.1:0") as program:
        client, number = connect(program.listening())
        client.send_until_closed("unread\n")
        program.expect(number + " ends: ETIMEDOUT")
        program.signal(signal.SIGTERM)


def test_wrong_arguments(command):
    refuses(command, "127.0.0.1:0")
