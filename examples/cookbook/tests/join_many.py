# SPDX-License-Identifier: MIT OR Apache-2.0
import socket

from program import Program, check, deaf, refused, refuses, run

COUNT = 300


def answer_all(command, wrong, *failures):
    """A server that reads all questions before it answers one, by the square or by what `wrong` has for it."""
    with socket.create_server(("127.0.0.1", 0), backlog=COUNT) as listener:
        with Program(command, "127.0.0.1:%d" % listener.getsockname()[1], COUNT) as program:
            clients = [listener.accept()[0] for _ in range(COUNT)]
            numbers = {int(client.makefile().readline()): client for client in clients}
            check(sorted(numbers) == list(range(COUNT)), "questions", sorted(numbers))
            for number, client in reversed(numbers.items()):
                client.sendall(wrong.get(number, b"%d\n" % number**2))
                client.close()
            *failed, last = program.rest().splitlines()
            check(sorted(failed) == sorted("one failed: " + name for name in failures), *failed)
            good, total = COUNT - len(wrong), sum(i * i for i in range(COUNT) if i not in wrong)
            check(last == "%d of %d have answered, the sum is %d" % (good, COUNT, total), last)


def test_all_run_at_once(command):
    answer_all(command, {})


def test_one_fails_and_the_others_answer(command):
    answer_all(command, {7: b""}, "NART_EEOF")


def test_what_is_no_number(command):
    for reply in b"-1\n", b"2147483648\n", 25 * b"9" + b"\n", b"\n", b"x\n", b"1 2\n", b"1\0\n":
        answer_all(command, {7: reply}, "EPROTO")
    answer_all(command, {7: b"12", 8: 32 * b"1" + b"\n"}, "NART_ETRUNCATED", "EMSGSIZE")


def test_no_reply_in_time(command):
    failed = 3 * ["one failed: ETIMEDOUT"] + ["0 of 3 have answered, the sum is 0"]
    with socket.create_server(("127.0.0.1", 0), backlog=3) as listener:
        check(run(command, "127.0.0.1:%d" % listener.getsockname()[1], 3, 100) == failed, "no reply")
    with deaf() as address:
        check(run(command, address, 3, 100) == failed, "no connection")


def test_wrong_arguments(command):
    refused(command, "127.0.0.1:1")
    refused(command, "127.0.0.1:1", 0)
    for numbers in (), (1,):
        refuses(command, "127.0.0.1:1", *numbers)
