# SPDX-License-Identifier: MIT OR Apache-2.0
from program import Client, Program, check, refuses

ANY = "127.0.0.1:0"
RECORDS = 20000  # 20 MB: more than the buffers of a connection hold


def test_a_client_that_does_not_read_stops_the_producer(command):
    with Program(command, RECORDS, ANY) as program:
        client = Client(program.listening(), receive=4096)
        client.send(2000 * "unread")  # loses no record
        program.expect("the producer waits, 64 records are queued")
        check([int(line) for line in client.lines] == list(range(RECORDS)), "records")
        client.shut()
        program.expect("the producer ends: ok", "%d records sent: ok" % RECORDS)


def test_a_client_that_leaves_ends_the_producer(command):
    with Program(command, RECORDS, ANY, status=1) as program:
        client = Client(program.listening(), receive=4096)
        program.expect("the producer waits, 64 records are queued")
        client.reset()
        program.expect("the producer ends: NART_ECLOSED")
        sent, end = program.line().split(" records sent: ")
        check(int(sent) < RECORDS and end in ("ECONNRESET", "EPIPE"), sent, end)


def test_a_client_that_does_not_read_in_time(command):
    with Program(command, RECORDS, ANY, 100, status=1) as program:
        with Client(program.listening(), receive=4096).sock:
            program.expect("the producer waits, 64 records are queued", "the producer ends: NART_ECLOSED")
            sent, end = program.line().split(" records sent: ")
            check(int(sent) < RECORDS and end == "ETIMEDOUT", sent, end)


def test_a_client_that_does_not_close_in_time(command):
    with Program(command, 10, ANY, 100, status=1) as program:
        client = Client(program.listening())
        check(len(client.rest().splitlines()) == 10, "all records")
        program.expect("the producer ends: ok", "10 records sent: ETIMEDOUT")


def test_wrong_arguments(command):
    refuses(command)
    refuses(command, 1, ANY)
