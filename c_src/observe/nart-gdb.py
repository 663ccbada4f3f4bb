# SPDX-License-Identifier: MIT OR Apache-2.0
"""nart-gdb.py: commands for gdb that show the tasks of nart's runtimes, in a running program or a core dump.

  (gdb) source /usr/share/nart/nart-gdb.py

  nart tasks [RT]      every task with its chain of awaits, as nart_rt_dump() prints it
  nart where N [RT]    the awaits of the task with number N, outermost first; of a fiber, its backtrace
  nart timers [RT]     deadlines and alarms, the earliest first

RT is an expression of the type nart_rt *; without it the commands show all runtimes of the process. They only read
memory and the debug information of nart, so build nart with -g. They call nothing in the program.

A parked fiber has left its registers in nart__fiber.here. `nart where` lets gdb continue there from the innermost
frame, by an unwinder: unlike setting registers that works for core dumps. Kernels with MADV_GUARD_INSTALL: the core
dumps of gdb's own generate-core-file lack the stacks of fibers, because gdb cannot read the guards between them."""

import errno
import functools
import os

import gdb
from gdb.unwinder import Unwinder

NEVER = (1 << 63) - 1
BLOCK = 64  # slots per entry of nart__slab.blocks
LINE = RUNNING = 0x0FFFFFFF  # of nart_co.at
ARM = 0x40000000


# ---- memory ----

def lookup(name):
    """A type of nart; an error that says what to do without debug information."""
    try:
        return gdb.lookup_type(name)
    except gdb.error:
        raise gdb.GdbError(f"no type {name}: build nart with debug information (-g)")


def linked(first, field):
    """The members of a list that ends with NULL."""
    while first:
        yield first
        first = first[field]


def text(pointer, otherwise=""):
    return pointer.string(errors="replace") if pointer else otherwise


# ---- runtimes and tasks ----

def runtimes(expression):
    pointer = lookup("struct nart_rt").pointer()
    if expression:
        return [gdb.parse_and_eval(expression).cast(pointer)]
    hubs = gdb.lookup_global_symbol("nart__hubs")
    if hubs is None:
        raise gdb.GdbError("no symbol nart__hubs: the program is not linked with nart, or has no debug information")
    found = [hub["rt"].cast(pointer) for hub in linked(hubs.value(), "made") if hub["rt"]]
    if not found:
        raise gdb.GdbError("there is no runtime")
    return found


def tasks(rt):
    """The tasks of a runtime by number, as nart__slab_next() finds them."""
    task = lookup("struct nart__task").pointer()
    slab = rt["slab"]
    slot, total = 0, int(slab["total"])
    while slot < total:
        chunk = slab["blocks"][slot // BLOCK]
        if not chunk:
            slot += BLOCK
            continue
        first, of = int(chunk["first"]), chunk["of"]
        used = int(of["fresh"]) if of["now"] == chunk else int(chunk["used"])
        for i in range(slot - first, used):
            t = (chunk["mem"] + i * int(of["stride"])).cast(task)
            if is_state(t, "LIVE"):
                yield t
        slot = first + (int(chunk["count"]) + BLOCK - 1) // BLOCK * BLOCK


@functools.lru_cache(maxsize=None)
def state_bit(name):
    return int(gdb.parse_and_eval(f"NART__T_{name}"))


def is_state(t, name):
    return bool(int(t["state"]) & state_bit(name))


def type_name(t):
    name = text(t["type"]["name"], "?")
    return name[len("struct "):] if name.startswith("struct ") else name


def head(rt, t):
    if t == rt["cx"]["self"]:
        state = "running"
    elif is_state(t, "DONE"):
        state = "ended, held"
    else:
        state = "ready" if is_state(t, "READY") else "parked"
    state += ", cancelled" if is_state(t, "CANCELLED") else ""
    state += ", background" if is_state(t, "BACKGROUND") else ""
    return f"{type_name(t)}#{int(t['slot'])} {state}"


# ---- awaits ----

def chain(leaf):
    """The bodies from the root of a task to this one, with their source lines."""
    bodies, co = [], leaf
    while co:
        if not int(co["at"]) & ARM and co["site"]:
            line = int(co["at"]) & LINE
            where = "running" if line == RUNNING else str(line)
            file = os.path.basename(text(co["site"]["file"], "?"))
            bodies.insert(0, (text(co["site"]["func"], "?"), f"{file}:{where}"))
        co = co["up"]
    return bodies


def leaf_name(t):
    if is_state(t, "READY"):
        return "yield" if int(t["polls"]) else "not polled yet"
    return "sleep" if int(t["wake_at"]) != NEVER or is_state(t, "ASLEEP") else "a waker"


def is_kind(w, kind):
    return w["ops"] == gdb.parse_and_eval(f"&nart__{kind}_ops")


def is_open_nursery(t, w):
    """Is its owner not in the join?"""
    return is_kind(w, "nursery") and int(w["seen"]) != int(t["polls"])


def operation(t, w):
    return ("holds a " if is_open_nursery(t, w) else "") + text(w["ops"]["name"], "?")


def awaits(rt, t):
    """(chain, operation) for each wait of a task, the oldest first; what it does if it only holds something."""
    waits = [w for w in linked(t["waits"], "more") if w["ops"]]
    shown = [(chain(w["co"]), operation(t, w)) for w in reversed(waits)]
    if all(is_kind(w, "held") or is_open_nursery(t, w) for w in waits):
        running = t == rt["cx"]["self"]
        shown.append(([], "") if running else (chain(t["leaf"]), leaf_name(t)))
    return shown


def in_time(rt, at):
    left = at - int(rt["cx"]["now"])
    return f"in {left / 1e9:.1f} s" if left > 0 else f"{-left / 1e9:.1f} s ago"


def deadline(rt, t):
    at = int(t["wake_at"])
    return "" if at == NEVER else f"  deadline {in_time(rt, at)}"


def answer(res):
    return "ok" if res >= 0 else errno.errorcode.get(-res, str(res))


def print_task(rt, t):
    if is_state(t, "DONE"):
        gdb.write(f"{head(rt, t)}: {answer(int(t['res']))}\n")
        return
    for bodies, name in awaits(rt, t):
        functions = " > ".join(function for function, _ in bodies)
        lines = " > ".join(line for _, line in bodies)
        shown = "  ".join(part for part in (functions, lines, name) if part)
        gdb.write(f"{head(rt, t)}{': ' if shown else ''}{shown}{deadline(rt, t)}\n")


# ---- the stack of a fiber ----

def fiber_of(t):
    """The nart__fiber of a task that is one and is parked; or None."""
    if t["type"]["poll"] != gdb.parse_and_eval("&nart__fiber_poll"):
        return None
    on = t["frame"].cast(lookup("struct nart_fiber").pointer())["on"]
    return on if on and not on["running"] and not on["ended"] else None


class FrameId:
    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class ParkedFiber(Unwinder):
    """Makes the caller of the innermost frame the place in which a fiber is parked, while `fiber` is set."""

    registers = {"i386:x86-64": ("rsp", "rbp", "rip"), "aarch64": ("sp", "x29", "pc")}

    def __init__(self):
        super().__init__("nart parked fiber")
        self.fiber = self.top = None

    def __call__(self, pending):
        names = self.registers.get(gdb.selected_inferior().architecture().name())
        if self.fiber is None or names is None or pending.read_register(names[0]) != self.top:
            return None
        here = self.fiber["here"]
        found = pending.create_unwind_info(FrameId(self.top, pending.read_register(names[2])))
        for name, field in zip(names, ("sp", "fp", "pc")):
            found.add_saved_register(name, here[field])
        return found

    def backtrace(self, fiber):
        """What `backtrace` prints from there, without nart's own frames at both ends."""
        gdb.invalidate_cached_frames()
        self.top = gdb.newest_frame().read_register("sp")
        self.fiber = fiber
        gdb.invalidate_cached_frames()
        try:
            lines = gdb.execute("backtrace", to_string=True).splitlines(keepends=True)
        finally:
            self.fiber = None
            gdb.invalidate_cached_frames()
        own = [i for i, line in enumerate(lines) if " nart__fiber_" in line or line.startswith("#0")]
        last = next((i for i in own if " nart__fiber_main (" in lines[i]), len(lines))
        first = next(i for i in range(last + 1) if i not in own or i == last)
        return "".join(lines[first:last])


parked_fiber = ParkedFiber()
gdb.unwinder.register_unwinder(None, parked_fiber, replace=True)


# ---- commands ----

class Nart(gdb.Command):
    """Tasks and timers of nart's runtimes: nart tasks, nart where N, nart timers."""

    def __init__(self):
        super().__init__("nart", gdb.COMMAND_DATA, prefix=True)


class Tasks(gdb.Command):
    """nart tasks [RT]: every task with its chain of awaits."""

    def __init__(self):
        super().__init__("nart tasks", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        for rt in runtimes(argument):
            background = int(rt["background"])
            more = f", {background} in the background" if background else ""
            gdb.write(f"{rt['name'].string()}: {int(rt['live'])} tasks{more}\n")
            for t in tasks(rt):
                print_task(rt, t)


class Where(gdb.Command):
    """nart where N [RT]: the awaits of task N, outermost first; of a fiber, its backtrace."""

    def __init__(self):
        super().__init__("nart where", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        number, _, expression = argument.strip().partition(" ")
        if not number.isdigit():
            raise gdb.GdbError("which task? nart where N [RT], N as in `nart tasks`")
        found = [(rt, t) for rt in runtimes(expression) for t in tasks(rt) if int(t["slot"]) == int(number)]
        if not found:
            raise gdb.GdbError(f"no task has the number {number}")
        for rt, t in found:
            gdb.write(f"{rt['name'].string()}: {head(rt, t)}{deadline(rt, t)}\n")
            fiber = fiber_of(t)
            if fiber is not None:
                gdb.write(parked_fiber.backtrace(fiber))
                continue
            for bodies, name in awaits(rt, t):
                for function, line in bodies:
                    gdb.write(f"  {function} at {line}\n")
                gdb.write(f"    {name}\n")


class Timers(gdb.Command):
    """nart timers [RT]: deadlines of tasks and alarms of watches, the earliest first."""

    def __init__(self):
        super().__init__("nart timers", gdb.COMMAND_DATA)

    def invoke(self, argument, from_tty):
        for rt in runtimes(argument):
            timers = [(int(t["wake_at"]), f"{type_name(t)}#{int(t['slot'])}") for t in tasks(rt)
                      if not is_state(t, "DONE") and int(t["wake_at"]) != NEVER]
            if rt["watches"]:
                timers += [(int(w["alarm"]["at"]), "alarm of " +
                            ("a watch" if int(w["fd"]) < 0 else f"the watch of {int(w['fd'])}"))
                           for w in linked(rt["watches"]["first"], "next") if w["alarm"]["next"]]
            gdb.write(f"{rt['name'].string()}: {len(timers)} timers\n")
            for at, name in sorted(timers):
                gdb.write(f"  {in_time(rt, at)}  {name}\n")


Nart()
Tasks()
Where()
Timers()
