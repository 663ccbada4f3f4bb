# SPDX-License-Identifier: MIT OR Apache-2.0
import socket
import subprocess
import threading

from program import Program, check

DAY = 24 * 3600 * 1000


def start(command, quiet=DAY, status=0):
    """The program, and the connection that it makes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        program = Program(command, "127.0.0.1:%d" % listener.getsockname()[1], quiet, status=status, stdin=subprocess.PIPE)
        return program, listener.accept()[0]


def write(program, text):
    program.process.stdin.write(text)
    program.process.stdin.flush()


def test_both_directions(command):
    program, sock = start(command)
    with program, sock, sock.makefile("rw") as peer:
        for i in range(20):
            write(program, "there %d\n" % i)
            check(peer.readline() == "there %d\n" % i, "from the program's loop to the fiber", i)
            peer.write("back %d\n" % i)
            peer.flush()
            program.expect("back %d" % i)
        program.process.stdin.close()
        check(peer.readline() == "", "the end of the input")
        sock.sendall(b"the rest\n")
        sock.shutdown(socket.SHUT_WR)
        check(program.rest() == "the rest\n", "the other direction was still open")


def test_timers_run(command):
    program, sock = start(command, 10)
    with program, sock, sock.makefile("r") as peer:
        check([peer.readline() for _ in range(3)] == 3 * ["ping\n"], "nothing but the time wakes it")
        program.process.stdin.close()
        peer.read()
        sock.shutdown(socket.SHUT_WR)


def test_a_slow_peer(command):
    """More than all buffers hold, which the peer reads late: nothing is lost."""
    program, sock = start(command)
    text = "".join("line %d\n" % i for i in range(1000000))
    with program, sock, sock.makefile("r") as peer:
        writer = threading.Thread(target=lambda: (write(program, text), program.process.stdin.close()))
        writer.start()
        sock.sendall(b"hello\n")
        program.expect("hello")  # the reader does not wait for the writer
        check(peer.read() == text, "all of it")
        writer.join()


def test_the_peer_ends(command):
    program, sock = start(command)
    with program:
        sock.close()
        check(program.rest() == "", "it ends, though its input is open")


def test_nobody_listens(command):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % bound.getsockname()[1]
        with Program(command, address, DAY, status=1, stdin=subprocess.PIPE) as program:
            check(program.rest() == "", "output")
