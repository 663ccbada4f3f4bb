#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Runs a program of the book in an empty folder, on a terminal, as a reader does, and judges it.

    run.py [--status N] [--out FILE] [--in FOLDER] -- COMMAND...

Its status must be N (0 if not given; -6: SIGABRT), and what it prints FILE, in which `...` stands for any text. Names of
the book's programs are compared without their folder: a reader compiles them in his own. With --in the folder is
not an empty one.
"""
import argparse
import doctest
import os
import re
import subprocess
import sys
import tempfile
import termios


def terminal():
    """Both ends of a terminal that passes on what is written, lines ends included."""
    master, slave = os.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[1] &= ~termios.OPOST
    attributes[3] &= ~termios.ECHO
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    return master, slave


def printed(master):
    """What is written to the terminal until all programs have closed it."""
    text = b""
    while True:
        try:
            text += os.read(master, 65536)
        except OSError:  # EIO: closed
            return text.decode(errors="replace")


def on_a_terminal(command, **options):
    """(status, what it printed) of a command."""
    master, slave = terminal()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=slave, stderr=slave, **options) as process:
        os.close(slave)
        text = printed(master)
    os.close(master)
    return process.returncode, text


def differs(expected, text):
    """None, or both as they are compared. A line `...` stands for any lines, or none."""
    pattern = re.sub(r"^\.\.\.\n", "...", re.sub(r"\n\.\.\.$", "...", expected, flags=re.MULTILINE), flags=re.MULTILINE)
    if doctest.OutputChecker().check_output(pattern, text, doctest.ELLIPSIS):
        return None
    return f"---- expected, ... being any text:\n{expected}---- printed:\n{text}----"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--status", type=int, default=0)
    parser.add_argument("--out")
    parser.add_argument("--in", dest="folder")
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()
    # Plain texts of compilers. The handler of nart reports an overflow of a stack, not that of a sanitizer, and finds
    # what a function has left behind on that stack, not in a sanitizer's copy of it.
    sanitizer = os.environ.get("ASAN_OPTIONS", "") + ":handle_segv=0:detect_stack_use_after_return=0"
    threads = os.environ.get("TSAN_OPTIONS", "") + ":handle_segv=0"
    environment = {**os.environ, "TERM": "dumb", "LC_ALL": "C", "ASAN_OPTIONS": sanitizer, "TSAN_OPTIONS": threads}
    with tempfile.TemporaryDirectory() as folder:
        status, text = on_a_terminal(args.command, cwd=args.folder or folder, env=environment)
    text = re.sub(r"[\w./+-]*docs/book/programs/", "", text)
    if status != args.status:
        sys.exit(f"{text}---- status {status} instead of {args.status}")
    if args.out:
        with open(args.out, encoding="utf-8") as file:
            sys.exit(differs(file.read(), text))


if __name__ == "__main__":
    main()
