# SPDX-License-Identifier: MIT OR Apache-2.0
import signal

from program import Client, Program, check


def connect(program):
    """A client, and the id of its task."""
    client = Client(program)
    greeting = client.line().split()
    check(greeting[:2] == ["you", "are"], greeting)
    return client, greeting[2]


def test_each_connection_is_a_task(command):
    with Program(command, "127.0.0.1:0") as program:
        program.listening()
        clients = [connect(program) for _ in range(50)]
        check(len({ident for _, ident in clients}) == 50, "an id is used twice")
        for client, ident in reversed(clients):
            check(client.ask("I am " + ident) == "I am " + ident, "echo", ident)
        client, ident = clients[0]
        client.shut()
        check(client.rest() == "", "half close")
        program.expect(ident + " ends: NART_EEOF")
        program.signal(signal.SIGTERM)
        check(all(client.rest() == "goodbye\n" for client, _ in clients[1:]), "goodbye")
        ends = sorted(program.rest().splitlines())
        check(ends == sorted(ident + " ends: ECANCELED" for _, ident in clients[1:]), ends)


def test_one_cancels_another(command):
    with Program(command, "127.0.0.1:0") as program:
        program.listening()
        (one, its_id), (other, others_id) = connect(program), connect(program)
        check(one.ask("cancel " + others_id) == "done", "cancel")
        check(other.rest() == "goodbye\n", "goodbye")
        program.expect(others_id + " ends: ECANCELED")
        check(one.ask("cancel " + others_id) == "it has ended", "an old id")
        check(one.ask("still here") == "still here", "the others continue")
        one.send("cancel " + its_id + "\n")  # itself: the answer is a goodbye
        check(one.rest() == "goodbye\n", "itself")
        program.expect(its_id + " ends: ECANCELED")
        program.signal(signal.SIGTERM)
