# SPDX-License-Identifier: MIT OR Apache-2.0
import socket

from program import Program


def test_handlers_process_each_quote(command):
    with Program(command, "127.0.0.1:0") as program, socket.socket(type=socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", program.listening().port))
        for price in ("100", "110", "111", "no price", 80 * "1", "90", "89", "101", "end"):
            sock.send(price.encode())
        program.expect("111 is not within 90 and 110", "89 is not within 90 and 110",
                       "6 quotes, 2 warnings, the last price is 101", "")
