# SPDX-License-Identifier: MIT OR Apache-2.0
import signal

from program import Program, check


def test_each_signal_ends_the_loop(command):
    for signo in (signal.SIGINT, signal.SIGTERM):
        with Program(command) as program:
            program.expect("three ticks")
            program.signal(signo)
            check(program.rest() == "ticker ends\nsaved\n", signo)
