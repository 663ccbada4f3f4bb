# SPDX-License-Identifier: MIT OR Apache-2.0
import fcntl
import select
import signal
import sys
import termios

from program import Client, Program, check, refuses

ANY = "127.0.0.1:0"


def enter(program, others, segment=None):
    """Another client, once the others have been told."""
    number = len(others) + 1
    client = Client(program, 4096, segment)
    for other in others:
        check(other.line() == "client %d has joined\n" % number, number)
    return client


def rest_or_reset(client):
    text = b""
    try:
        while some := client.sock.recv(65536):
            text += some
    except ConnectionResetError:
        pass
    return text.decode()


def test_the_others_read_it(command):
    with Program(command, ANY) as program:
        program.listening()
        clients = []
        for _ in range(20):
            clients.append(enter(program, clients))
        for number, author in enumerate(clients, 1):
            for part in "I am %d\r\nit is" % number, " me\n":
                author.send(part)
            for client in clients:
                if client is not author:
                    check(client.line() == "client %d: I am %d\n" % (number, number), number)
                    check(client.line() == "client %d: it is me\n" % number, number)
        clients[0].send("goodbye\nwithout an end of line")
        clients[0].shut()
        for client in clients[1:]:
            for text in ": goodbye", ": without an end of line", " has left":
                check(client.line() == "client 1%s\n" % text, text)
        check(clients[0].rest() == "", "its own lines do not come back")
        clients[1].send(300 * "x" + "\n")  # longer than a line may be
        clients[1].await_ended()
        check(clients[2].line() == "client 2 has left\n", "too long")
        clients[3].reset()
        check(clients[2].line() == "client 4 has left\n", "reset")
        program.signal(signal.SIGTERM)
        for client in clients[4:]:
            client.await_ended()


def test_a_fast_one_is_no_reason(command):
    """Those who read are not dropped, though far more lines arrive at once than a queue holds."""
    with Program(command, ANY) as program:
        program.listening()
        ann = enter(program, [])
        bob = enter(program, [ann])
        ann.send(1000 * "x\n" + "the end\n")
        check([bob.line() for _ in range(1000)] == 1000 * ["client 1: x\n"], "all of them")
        check(bob.line() == "client 1: the end\n", "the end")
        program.signal(signal.SIGTERM)


def test_many_at_once(command):
    """More clients than a queue has lines join, speak and leave before any task runs. All of them read."""
    with Program(command, ANY) as program:
        program.listening()
        program.signal(signal.SIGSTOP)
        clients = [Client(program) for _ in range(100)]
        program.signal(signal.SIGCONT)
        for number, client in enumerate(clients, 1):
            for other in range(number + 1, 101):
                check(client.line() == "client %d has joined\n" % other, number, other)
        program.signal(signal.SIGSTOP)
        for number, client in enumerate(clients, 1):
            client.send("I am %d\n" % number)
        program.signal(signal.SIGCONT)
        for number, client in enumerate(clients, 1):
            heard = sorted(client.line() for _ in range(99))
            check(heard == sorted("client %d: I am %d\n" % (n, n) for n in range(1, 101) if n != number), number)
        program.signal(signal.SIGSTOP)
        for client in clients[1:]:
            client.shut()
        program.signal(signal.SIGCONT)
        left = sorted(clients[0].line() for _ in clients[1:])
        check(left == sorted("client %d has left\n" % number for number in range(2, 101)), *left)
        program.signal(signal.SIGTERM)


def test_a_slow_reader_is_dropped(command):
    with Program(command, ANY) as program:
        program.listening()
        ann = enter(program, [])
        bob = enter(program, [ann])
        slow = enter(program, [ann, bob])
        number, dropped = 0, "client 3 does not read and was dropped\n"
        while dropped:  # until the kernel's buffers and the queue are full
            said = ["%d %s\n" % (n, 200 * "x") for n in range(number, number + 20)]
            ann.send("".join(said))
            heard = [bob.line() for _ in said]
            if dropped in heard:
                heard.remove(dropped)
                heard.append(bob.line())
                check(ann.line() == dropped, "told")
                dropped = ""
            check(heard == ["client 1: " + line for line in said], "bob loses nothing", heard)
            number += 20
        text = rest_or_reset(slow)
        check(text.startswith("client 1: 0 x"), "it got the first lines")
        check("client 1: %d " % (number - 1) not in text, "and not the last")
        ann.send("still here?\n")
        check(bob.line() == "client 1: still here?\n", "the others continue")
        program.signal(signal.SIGTERM)


def on_the_way(program, client):
    """Bytes that the program has passed to the kernel, and that this client has not received. Those that arrive
    meanwhile may count twice."""
    ends = "0100007F:%04X 0100007F:%04X " % (program.port, client.sock.getsockname()[1])
    with open("/proc/net/tcp") as table:
        sent = [int(line.split()[4].split(":")[0], 16) for line in table if ends in line]
    arrived = int.from_bytes(fcntl.ioctl(client.sock, termios.FIONREAD, bytes(4)), sys.byteorder)
    return sum(sent) + arrived


def test_one_that_reads_nothing_for_too_long_is_dropped(command):
    """Its queue, of 64 lines, is not full: nothing is said while it is behind."""
    with Program(command, ANY, 100) as program:
        program.listening()
        ann = enter(program, [])
        bob = enter(program, [ann])
        slow = enter(program, [ann, bob], 500)
        said = 0
        while not select.select([bob.sock], [], [], 0)[0]:
            if on_the_way(program, slow) >= said:
                ann.send(60 * (200 * "x" + "\n"))
                said += sum(len(bob.line()) for _ in range(60))
        check(bob.line() == ann.line() == "client 3 does not read and was dropped\n", "told")
        ann.send("still here?\n")
        check(bob.line() == "client 1: still here?\n", "the others continue")
        program.signal(signal.SIGTERM)


def test_wrong_arguments(command):
    refuses(command, ANY)
