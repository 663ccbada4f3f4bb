# SPDX-License-Identifier: MIT OR Apache-2.0
import os
import random
import signal
import socket
import threading

from program import Client, Program, check, deaf, refused, refuses

ANY = "127.0.0.1:0"
DAY = 24 * 3600 * 1000


class Proxy(Program):
    def __init__(self, command, idle=DAY):
        self.upstream = socket.create_server(("127.0.0.1", 0))
        super().__init__(command, ANY, "127.0.0.1:%d" % self.upstream.getsockname()[1], idle)
        self.listening()

    def pair(self):
        """A client's socket, and the one that the server has for it."""
        return Client(self).sock, self.upstream.accept()[0]

    def __exit__(self, *failed):
        self.signal(signal.SIGTERM)
        super().__exit__(*failed)
        self.upstream.close()


def rest(sock):
    """All up to the end of the stream; None if the connection is reset."""
    got = b""
    try:
        while some := sock.recv(65536):
            got += some
    except ConnectionResetError:
        return None
    return got


def send_all(sock, data):
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def test_both_directions(command):
    with Proxy(command) as proxy:
        client, server = proxy.pair()
        there, back = random.randbytes(1000000), random.randbytes(2000000)
        senders = [threading.Thread(target=send_all, args=args) for args in ((client, there), (server, back))]
        received = []
        receiver = threading.Thread(target=lambda: received.append(rest(client)))
        for thread in senders + [receiver]:
            thread.start()
        check(rest(server) == there, "to the server")
        for thread in senders + [receiver]:
            thread.join()
        check(received == [back], "to the client")
        proxy.expect("1000000 bytes there, 2000000 bytes back: ok")


def test_bytes_pass_through_a_pipe(command):
    with Proxy(command) as proxy:
        client, server = proxy.pair()
        sender = threading.Thread(target=client.sendall, args=(bytes(1000000),))
        sender.start()
        check(len(server.recv(1000000, socket.MSG_WAITALL)) == 1000000, "all of it")
        sender.join()
        folder = "/proc/%d/fd/" % proxy.process.pid
        pipes = [fd for fd in os.listdir(folder) if int(fd) > 2 and os.readlink(folder + fd).startswith("pipe:")]
        check(len(pipes) == 2, "both ends of a pipe", *pipes)


def test_half_close(command):
    with Proxy(command) as proxy:
        for turn in range(2):
            one, other = proxy.pair()[:: 1 - 2 * turn]
            send_all(one, b"request")
            check(rest(other) == b"request", "the end arrives")
            send_all(other, b"reply")  # the other direction is still open
            check(rest(one) == b"reply", "and so does the reply")
        proxy.expect("7 bytes there, 5 bytes back: ok", "5 bytes there, 7 bytes back: ok")


def test_idle(command):
    with Proxy(command, 100) as proxy:
        client, server = proxy.pair()
        check(rest(client) is None and rest(server) is None, "an end that neither has sent")
        proxy.expect("0 bytes there, 0 bytes back: ETIME")


def test_a_reset_is_passed_on(command):
    with Proxy(command) as proxy:
        client, server = proxy.pair()
        server.sendall(b"y")
        client.recv(1, socket.MSG_PEEK)
        client.close()  # with a byte that was not received: a reset
        check(rest(server) is None, "a reset")
        proxy.expect("0 bytes there, 1 bytes back: ECONNRESET")
        client, server = proxy.pair()
        proxy.upstream.close()
        refused = Client(proxy).sock
        check(rest(refused) is None, "nobody listens")
        proxy.expect("0 bytes there, 0 bytes back: ECONNREFUSED")
        send_all(client, b"others")
        check(rest(server) == b"others", "others continue")
        server.close()
        check(rest(client) == b"", "the end")


def test_a_server_that_does_not_accept(command):
    with deaf() as address, Program(command, ANY, address, DAY, 100) as program:
        check(rest(Client(program.listening()).sock) is None, "a reset")
        program.expect("0 bytes there, 0 bytes back: ETIMEDOUT")
        program.signal(signal.SIGTERM)


def test_wrong_arguments(command):
    refused(command, ANY)
    for numbers in (), (1,):
        refuses(command, ANY, "127.0.0.1:1", *numbers)
