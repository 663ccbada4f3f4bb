# SPDX-License-Identifier: MIT OR Apache-2.0
"""test.py live|core <gdb> <nart-gdb.py> <program>: the commands of nart-gdb.py in a running program, or in its
core dump. The program prints the same by nart_rt_dump()."""
import os
import re
import resource
import subprocess
import sys
import tempfile

mode, gdb, script, program = sys.argv[1:]


def run(*commands):
    """What gdb and the program print; the part after each command."""
    arguments = [gdb, "-nx", "-batch", "-ex", "set width 0", "-ex", f"source {script}", program]
    for command in commands:
        arguments += ["-ex", f"echo @@\\n", "-ex", command]
    done = subprocess.run(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120)
    parts = done.stdout.split("@@\n")
    if len(parts) != len(commands) + 1:
        sys.exit(f"{done.stdout}\nnot every command ran")
    return parts[1:]


def tasks_of(text):
    """The lines of a dump without what the stack or the time decides."""
    lines = [line for line in text.splitlines() if re.match(r"nart: |\w+#\d+ ", line)]
    return [re.sub(r"  (stack|deadline) .*", "", line) for line in lines]


def check(found, expected, what):
    if not re.search(expected, found, re.DOTALL):
        sys.exit(f"{what}:\n{found}\nhas no\n{expected}")


def check_all(where, tasks, timers, of_body, of_fiber):
    if tasks_of(tasks) != dump:
        sys.exit(f"{where}: nart tasks prints\n{tasks}\nand nart_rt_dump()\n" + "\n".join(dump))
    check(timers, r"3 timers\n +in (19|20)\.\d s  sleeper#\d+\n +in (29|30)\.\d s  alarm of the watch of \d+\n"
                  r" +in (49|50)\.\d s  outer#\d+\n", f"{where}: nart timers")
    check(of_body, r"outer#\d+ parked.*outer at program\.c:\d+\n +inner at program\.c:\d+\n +notify",
          f"{where}: nart where")
    check(of_fiber, r"fiber#\d+ parked.*#\d+ .* deep \(.*n=0\).* deep \(.*n=1\).* deep \(.*n=2\).* fiber \(",
          f"{where}: nart where")


def numbers(text):
    return [re.search(rf"^{name}#(\d+)", text, re.MULTILINE)[1] for name in ("outer", "fiber")]


def commands(text):
    body, fiber = numbers(text)
    return ["nart tasks", "nart timers", f"nart where {body}", f"nart where {fiber}"]


if mode == "live":
    said = subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True, timeout=60).stdout
    dump = tasks_of(said)
    check_all("running", *run("break stop_here", "run", *commands(said))[2:])
    check(run("nart tasks")[0], "no runtime|Cannot access", "nart tasks before run")
else:
    pattern = open("/proc/sys/kernel/core_pattern").read().strip()
    if pattern.startswith("|") or "/" in pattern:
        print(f"the kernel gives core dumps to {pattern}", file=sys.stderr)
        sys.exit(77)
    with tempfile.TemporaryDirectory() as folder:
        resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        said = subprocess.run([program, "abort"], stdout=subprocess.PIPE, text=True, cwd=folder, timeout=60).stdout
        dump = tasks_of(said)
        core = "core-file " + os.path.join(folder, os.listdir(folder)[0])
        check_all("core", *run(core, *commands(said))[1:])
        for command, answer in (("nart where 99999", "no task has the number 99999"), ("nart where", "which task"),
                                ("nart tasks nonsense", "nonsense")):
            check(run(core, command)[1], answer, command)
