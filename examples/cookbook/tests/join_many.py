# SPDX-License-Identifier: MIT OR Apache-2.0
import socket

from program import Program, check

COUNT = 300


def answer_all(command, without, *expected):
    """A server that reads all questions before it answers one; those of `without` are closed instead."""
    with socket.create_server(("127.0.0.1", 0), backlog=COUNT) as listener:
        with Program(command, "127.0.0.1:%d" % listener.getsockname()[1], COUNT) as program:
            clients = [listener.accept()[0] for _ in range(COUNT)]
            numbers = {int(client.makefile().readline()): client for client in clients}
            check(sorted(numbers) == list(range(COUNT)), "questions", sorted(numbers))
            for number, client in reversed(numbers.items()):
                if number not in without:
                    client.sendall(b"%d\n" % number**2)
                client.close()
            program.expect(*expected, "")


def test_all_run_at_once(command):
    total = sum(i * i for i in range(COUNT))
    answer_all(command, [], "300 of 300 have answered, the sum is %d" % total)


def test_one_fails_and_the_others_answer(command):
    total = sum(i * i for i in range(COUNT)) - 7 * 7
    answer_all(command, [7], "one failed: NART_EEOF", "299 of 300 have answered, the sum is %d" % total)
