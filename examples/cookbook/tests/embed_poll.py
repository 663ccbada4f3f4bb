# SPDX-License-Identifier: MIT OR Apache-2.0
import errno
import fcntl
import os
import pathlib
import socket
import subprocess
import termios
import threading

from program import Program, check, deaf, refused, refuses

DAY = 24 * 3600 * 1000
PIPES = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}


def start(command, quiet=DAY, status=0):
    """The program, and the connection that it makes."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = "127.0.0.1:%d" % listener.getsockname()[1]
        program = Program(command, address, quiet, status=status, stdin=subprocess.PIPE)
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


def rests(program):
    """Does it sleep, though its input has something? Then it does not wait for that."""

    def sleeps():
        status = pathlib.Path("/proc/%d/status" % program.process.pid).read_text()
        return [line for line in status.splitlines() if line.startswith(("State:\tS", "voluntary_ctxt_switches"))]

    before = sleeps()
    pending = fcntl.ioctl(program.process.stdin, termios.FIONREAD, bytes(4))
    return len(before) == 2 and pending != bytes(4) and sleeps() == before


def test_a_slow_peer(command):
    """Once all buffers are full, the program does not read its input. Nothing is lost."""
    program, sock = start(command)
    text = "".join("line %d\n" % i for i in range(1000000))
    with program, sock, sock.makefile("r") as peer:
        writer = threading.Thread(target=lambda: (write(program, text), program.process.stdin.close()))
        writer.start()
        while not rests(program):
            pass
        sock.sendall(b"hello\n")
        program.expect("hello")  # it still reads from its peer
        check(peer.read() == text, "all of it")
        writer.join()
        sock.shutdown(socket.SHUT_WR)


def test_the_peer_ends_its_direction(command):
    program, sock = start(command)
    with program, sock, sock.makefile("r") as peer:
        sock.sendall(b"hello\n")
        sock.shutdown(socket.SHUT_WR)
        check(program.line() == "hello", "up to the end")
        text = "".join("line %d\n" % i for i in range(100000))
        writer = threading.Thread(target=lambda: (write(program, text), program.process.stdin.close()))
        writer.start()
        check(peer.read() == text, "the input is sent")
        writer.join()


def test_the_peer_closes(command):
    program, sock = start(command, 10, status=1)
    with program:
        sock.close()
        check(program.rest() == "", "it ends, though its input is open")


def test_output_that_cannot_be_written(command):
    with socket.create_server(("127.0.0.1", 0)) as listener, open("/dev/full", "w") as full:
        args = *command, "127.0.0.1:%d" % listener.getsockname()[1], str(DAY)
        with subprocess.Popen(args, stdin=subprocess.PIPE, stdout=full, stderr=subprocess.PIPE, text=True) as process:
            with listener.accept()[0] as sock:
                sock.sendall(b"hello\n")
                check(process.stderr.readline().startswith("embed_poll: "), "it says so, though its input is open")
            check(process.wait() == 1, "exit status", process.returncode)


def test_nobody_listens(command):
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % bound.getsockname()[1]
        with Program(command, address, DAY, status=1, stdin=subprocess.PIPE) as program:
            check(program.rest() == "", "output")


def test_a_listener_that_does_not_accept(command):
    with deaf() as address, Program(command, address, DAY, 100, status=1, **PIPES) as program:
        check(program.process.stderr.readline() == "embed_poll: %s\n" % os.strerror(errno.ETIMEDOUT), "its time is over")


def test_wrong_arguments(command):
    refused(command)
    for numbers in (), (1,):
        refuses(command, "127.0.0.1:1", *numbers)
