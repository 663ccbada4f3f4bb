#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Finds mistakes in bodies written with nart/co.h that compilers do not detect.

    nart_lint.py FILE.c...

 1. A local variable whose value is lost across an await. A body restarts at each poll: the code before
    NART_BEGIN runs again, then execution jumps to the pending await. So after an await, a variable that
    the body changed has its initial value again, or none. Reported: a variable that is changed before an
    await and read after it without being set again.
 2. An await inside a switch of the body. Compilers reject it, but not with -w, and not in a switch on
    __int128.
 3. A `break` outside of any loop and switch: it leaves the body and continues at NART_END.

Method: the statements of a body form a graph. A backward pass finds where a variable is live: it may be
read before it is set. A forward pass finds where it is changed: it was set since the last await. A
variable that is both at an await is lost there.

Limits: the linter reads the source without preprocessing it. It ignores
  - awaits inside the program's own macros, and what such macros do with variables;
  - all branches of an #if but the first;
  - parts of a variable: a structure or an array is lost if any part of it is;
  - changes through a pointer. Passing an array or the address of a variable to a function counts as
    setting it;
  - initial values from before NART_BEGIN that differ at the next poll.

Exit status: 0 no findings, 1 findings, 2 a file cannot be read.
"""
import re
import sys

TOKEN = re.compile(r"""
    (?P<skip>\s+|//[^\n]*|/\*.*?\*/)
  | (?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')
  | (?P<word>[A-Za-z_]\w*)
  | (?P<number>\.?\d(?:[eEpP][+-]|[\w.])*)
  | (?P<sign>->|\+\+|--|<<=|>>=|[-+*/%&|^]=|<<|>>|[<>=!]=|&&|\|\||\.\.\.|.)
""", re.VERBOSE | re.DOTALL)
ASSIGN = {"=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "<<=", ">>="}
NO_TYPE = {"return", "goto", "case", "else", "sizeof", "break", "continue", "default", "do"}
AWAITS = {  # index of the awaited expression; the arguments before it are evaluated once
    "NART_AWAIT": 1, "NART_AWAIT_FOR": 2, "NART_AWAIT_UNTIL": 2, "NART_STOP": 1,
    "NART_AWAIT_ANY": 2, "NART_AWAIT_ANY_FAIR": 2, "NART_AWAIT_ANY_BIASED": 2,
    "NART_AWAIT_ALL": 1, "NART_AWAIT_ALL_OK": 1, "NART_AWAIT_LOCAL": 1,
}
RACES = {"NART_ANY", "NART_ANY_FAIR", "NART_ANY_BIASED"}


class Unreadable(Exception):
    pass


def first_branches(text):
    """The text without directives and without #else and #elif branches; line numbers are kept."""
    lines, hidden, goes_on = [], [], False
    for line in text.split("\n"):
        directive = goes_on or re.match(r"\s*#\s*(\w*)", line)
        if directive and not goes_on:
            word = directive.group(1)
            if word in ("if", "ifdef", "ifndef"):
                hidden.append(False)
            elif word in ("else", "elif") and hidden:
                hidden[-1] = True
            elif word == "endif" and hidden:
                hidden.pop()
        lines.append("" if directive or any(hidden) else line)
        goes_on = bool(directive) and line.endswith("\\")
    return "\n".join(lines)


def tokens(text):
    """[(text, line)]"""
    found, line = [], 1
    for m in TOKEN.finditer(text):
        if m.lastgroup != "skip":
            found.append((m.group(), line))
        line += m.group().count("\n")
    return found


def closing(toks, at):
    """The index of the bracket that closes the one at `at`."""
    pairs, depth = {"(": ")", "{": "}", "[": "]"}, []
    for i in range(at, len(toks)):
        if toks[i][0] in pairs:
            depth.append(pairs[toks[i][0]])
        elif toks[i][0] in (")", "}", "]"):
            if not depth or depth.pop() != toks[i][0]:
                break
            if not depth:
                return i
    raise Unreadable(f"line {toks[at][1]}: unbalanced bracket")


def split(toks, sign=","):
    """The parts between top-level commas."""
    parts, start, i = [], 0, 0
    while i < len(toks):
        if toks[i][0] in ("(", "{", "["):
            i = closing(toks, i)
        elif toks[i][0] == sign:
            parts.append(toks[start:i])
            start = i + 1
        i += 1
    return parts + [toks[start:]]


class Body:
    """The graph of a function. A node has steps, each ("read" | "set" | "touch", variable, line) or
    ("await", None, line), and the nodes that follow."""

    def __init__(self, name, toks):
        self.name = name
        self.toks, self.at = toks, 0
        self.scopes, self.count, self.arrays = [{}], 0, set()
        self.steps, self.next = [], []
        self.labels, self.gotos = {}, []
        self.begun = False
        self.leave, self.again, self.switches = [], [], []
        self.misplaced = []  # (line, what)
        self.block(self.node())
        for node, label in self.gotos:
            if label in self.labels:
                self.next[node].add(self.labels[label])

    # ---- nodes and steps ----

    def node(self, *before):
        self.steps.append([])
        self.next.append(set())
        for b in before:
            if b is not None:
                self.next[b].add(len(self.steps) - 1)
        return len(self.steps) - 1

    def add(self, node, what, variable, line):
        if self.begun:
            self.steps[node].append((what, variable, line))

    def variable(self, name):
        for scope in reversed(self.scopes):
            if name in scope:
                return scope[name]
        return None

    def declare(self, name, kept, array):
        self.count += 1
        self.scopes[-1][name] = None if kept else (name, self.count)
        if array:
            self.arrays.add((name, self.count))

    def path(self, toks, i, v):
        """(is a part of it named, is it only pointed at, where the name ends) of `v.a[1]->b`."""
        member = pointer = False
        while i < len(toks) and toks[i][0] in (".", "->", "["):
            pointer |= toks[i][0] == "->" or toks[i][0] == "[" and not member and v not in self.arrays
            member = True
            i = closing(toks, i) + 1 if toks[i][0] == "[" else i + 2
        return member, pointer, i

    def expression(self, node, toks):
        """Reads come before what is set, as in `n = n + 1`."""
        later = []
        for i, (text, line) in enumerate(toks):
            before = toks[i - 1][0] if i else ""
            v = self.variable(text) if re.match(r"[A-Za-z_]", text) else None
            if v is None or before in (".", "->"):
                continue
            if before == "sizeof" or [t for t, _ in toks[max(0, i - 2):i]] == ["sizeof", "("]:
                continue
            if [t for t, _ in toks[max(0, i - 3):i]] == ["(", "void", ")"]:
                continue
            unary = i < 2 or not re.match(r"[\w\])]", toks[i - 2][0]) or toks[i - 2][0] == "return"
            member, pointer, end = self.path(toks, i + 1, v)
            op = toks[end][0] if end < len(toks) else ""
            steps = "++" in (before, op) or "--" in (before, op)
            passed = v in self.arrays and before in ("(", ",") and op in (",", ")", "")
            if pointer or before == "*" and unary:  # its target is not the variable
                self.add(node, "read", v, line)
            elif before == "&" and unary or passed and not member:
                later.append(("set", v, line))
            elif op in ASSIGN or steps:
                if op != "=":
                    self.add(node, "read", v, line)
                later.append(("touch" if member else "set", v, line))
            else:
                self.add(node, "read", v, line)
        for step in later:
            self.add(node, *step)

    def race(self, node, toks):
        """An awaited expression; a race sets its first argument."""
        start = 0
        for i, (text, _) in enumerate(toks):
            if text in RACES:
                which = split(toks[i + 2:closing(toks, i + 1)])[0]
                self.expression(node, toks[start:i])
                self.assign(node, which)
                start = i + 2 + len(which)
        self.expression(node, toks[start:])

    def assign(self, node, toks):
        if len(toks) == 1 and self.variable(toks[0][0]):
            self.add(node, "set", self.variable(toks[0][0]), toks[0][1])
        else:
            self.expression(node, toks)

    def wait(self, node, line):
        self.add(node, "await", None, line)
        if self.switches:
            self.misplaced.append((line, "this await is inside a switch of the body"))

    def macro(self, node, toks):
        """NART_AWAIT(...) and its like. Answers the node after it; None: the body ends."""
        name, line = toks[0]
        args = split(toks[2:closing(toks, 1)])
        if name in ("NART_END", "NART_RETURN"):
            self.expression(node, args[0])
            return None
        if name == "NART_BEGIN":
            self.begun = True
        elif name == "NART_YIELD":
            self.wait(node, line)
        elif name in AWAITS:
            first = AWAITS[name]
            race = name.startswith("NART_AWAIT_ANY")
            if not race and first == 2:
                self.expression(node, args[1])
            self.wait(node, line)
            for arg in args[first:]:
                self.race(node, arg)
            for arg in args[:2 if race else 1]:
                self.assign(node, arg)
        else:
            self.expression(node, toks)
        return node

    # ---- statements ----

    def look(self, ahead=0):
        return self.toks[self.at + ahead][0] if self.at + ahead < len(self.toks) else ""

    def bracket(self):
        """The tokens inside of the bracket that comes now."""
        end = closing(self.toks, self.at)
        inner = self.toks[self.at + 1:end]
        self.at = end + 1
        return inner

    def until(self, sign):
        start = self.at
        while self.at < len(self.toks) and self.toks[self.at][0] != sign:
            self.at = closing(self.toks, self.at) if self.look() in ("(", "{", "[") else self.at
            self.at += 1
        self.at += 1
        return self.toks[start:self.at - 1]

    def block(self, node):
        """All that is left of the tokens."""
        while self.at < len(self.toks):
            node = self.statement(node if node is not None else self.node())
        return node

    def inner(self, node, toks):
        """A list of statements in a scope of its own."""
        kept = self.toks, self.at
        self.toks, self.at = toks, 0
        self.scopes.append({})
        node = self.block(node)
        self.scopes.pop()
        self.toks, self.at = kept
        return node

    def statement(self, node):
        """The node after it; None: nothing comes there."""
        word = self.look()
        handler = getattr(self, f"on_{word}", None) if re.fullmatch("[a-z]+", word) else None
        if handler:
            self.at += 1
            return handler(node)
        if word == "{":
            return self.inner(node, self.bracket())
        if word == ";":
            self.at += 1
            return node
        if re.match(r"[A-Za-z_]\w*$", word) and self.look(1) == ":":
            self.at += 2
            self.labels[word] = self.node(node)
            return self.labels[word]
        toks = self.until(";")
        if toks and toks[0][0].startswith("NART_") and len(toks) > 1 and toks[1][0] == "(":
            return self.macro(node, toks)
        self.simple(node, toks)
        return node

    def simple(self, node, toks):
        """A declaration or an expression."""
        i, words = 0, 0
        while i < len(toks) and (re.match(r"[A-Za-z_]\w*$", toks[i][0]) or toks[i][0] == "*"):
            words += toks[i][0] != "*"
            i += 1
        declares = words >= 2 and toks[0][0] not in NO_TYPE and \
            (i == len(toks) or toks[i][0] in ("=", ",", "[", ";", ":"))
        if not declares:
            self.expression(node, toks)
            return
        kept = "static" in [t for t, _ in toks[:i]] or "extern" in [t for t, _ in toks[:i]]
        for part in split(toks):
            names = [k for k, (t, _) in enumerate(part) if re.match(r"[A-Za-z_]\w*$", t)]
            stop = next((k for k, (t, _) in enumerate(part) if t in ("=", "[")), len(part))
            at = max((k for k in names if k < stop), default=None)
            if at is None:
                continue
            name, line = part[at]
            equals = next((k for k, (t, _) in enumerate(part) if t == "="), None)
            if equals is not None:
                self.expression(node, part[equals + 1:])
            self.declare(name, kept, stop < len(part) and part[stop][0] == "[")
            if equals is not None and self.variable(name):
                self.add(node, "set", self.variable(name), line)

    def condition(self, node):
        toks = self.bracket()
        self.expression(node, toks)
        return [t for t, _ in toks]

    def on_if(self, node):
        self.condition(node)
        yes = self.statement(self.node(node))
        no = node
        if self.look() == "else":
            self.at += 1
            no = self.statement(self.node(node))
        return self.node(yes, no) if yes is not None or no is not None else None

    def loop(self, head, after, step):
        """The statement that comes now, repeated. `step` is where `continue` leads."""
        self.leave.append(after)
        self.again.append(step)
        end = self.statement(self.node(head))
        self.leave.pop()
        self.again.pop()
        return end

    def on_while(self, node):
        head, after = self.node(node), self.node()
        always = self.condition(head) in (["1"], ["true"])
        end = self.loop(head, after, head)
        if end is not None:
            self.next[end].add(head)
        if not always:
            self.next[head].add(after)
        return after

    def on_do(self, node):
        head, test, after = self.node(node), self.node(), self.node()
        end = self.loop(head, after, test)
        if end is not None:
            self.next[end].add(test)
        self.at += 1  # while
        if self.condition(test) not in (["0"], ["false"]):
            self.next[test].add(head)
        self.next[test].add(after)
        self.at += 1  # ;
        return after

    def on_for(self, node):
        first, test, step = (split(self.bracket(), ";") + [[], []])[:3]
        self.scopes.append({})
        self.simple(node, first)
        head, each, after = self.node(node), self.node(), self.node()
        self.expression(head, test)
        end = self.loop(head, after, each)
        if end is not None:
            self.next[end].add(each)
        self.expression(each, step)
        self.next[each].add(head)
        if test:
            self.next[head].add(after)
        self.scopes.pop()
        return after

    def on_switch(self, node):
        self.condition(node)
        after = self.node(node)  # possibly no case matches
        self.leave.append(after)
        self.switches.append(node)
        end = self.statement(self.node())
        self.switches.pop()
        self.leave.pop()
        if end is not None:
            self.next[end].add(after)
        return after

    def on_case(self, node):
        self.until(":")
        return self.node(node, *self.switches[-1:])

    on_default = on_case

    def on_break(self, node):
        if self.begun and not self.leave:
            line = self.toks[self.at][1]
            self.misplaced.append((line, "this break leaves the body and continues at NART_END"))
        self.until(";")
        self.next[node].update(self.leave[-1:])

    def on_continue(self, node):
        self.until(";")
        self.next[node].update(self.again[-1:])

    def on_goto(self, node):
        self.gotos.append((node, self.until(";")[0][0]))

    def on_return(self, node):
        self.expression(node, self.until(";"))

    # ---- what is lost ----

    def lost(self):
        """[(line of the await, variable, line where it is read)], each variable and await once."""
        order = range(len(self.steps))
        live = [{} for _ in order]  # at the start of a node: variable -> line of its read
        changed = [set() for _ in order]
        again = True
        while again:
            again = False
            for n in reversed(order):
                now = {}
                for after in self.next[n]:
                    now.update(live[after])
                for what, v, line in reversed(self.steps[n]):
                    if what == "read":
                        now[v] = line
                    elif what == "set":
                        now.pop(v, None)
                if now.keys() != live[n].keys():
                    live[n], again = now, True
        again = True
        while again:
            again = False
            for n in order:
                now = set(changed[n])
                for what, v, _ in self.steps[n]:
                    if what == "await":
                        now.clear()
                    elif what in ("set", "touch"):
                        now.add(v)
                for after in self.next[n]:
                    if not now <= changed[after]:
                        changed[after] |= now
                        again = True
        found = []
        for n in order:
            now = set(changed[n])
            for i, (what, v, line) in enumerate(self.steps[n]):
                if what == "await":
                    after = {}
                    for follows in self.next[n]:
                        after.update(live[follows])
                    for step, w, where in reversed(self.steps[n][i + 1:]):
                        if step == "read":
                            after[w] = where
                        elif step == "set":
                            after.pop(w, None)
                    found += [(line, w[0], after[w]) for w in now if w in after]
                    now.clear()
                elif what in ("set", "touch"):
                    now.add(v)
        return sorted(set(found))


def bodies(toks):
    """(name, tokens) of the functions with a NART_BEGIN."""
    i = 0
    while i < len(toks):
        if toks[i][0] != "{":
            i += 1
            continue
        end = closing(toks, i)
        inside = toks[i + 1:end]
        if i > 0 and toks[i - 1][0] == ")" and any(t == "NART_BEGIN" for t, _ in inside):
            depth, k = 0, i - 1
            while k >= 0:
                depth += {")": 1, "(": -1}.get(toks[k][0], 0)
                if depth == 0:
                    break
                k -= 1
            yield toks[k - 1][0], inside
        i = end + 1


def findings(file, text):
    for name, toks in bodies(tokens(first_branches(text))):
        body = Body(name, toks)
        for line, what in body.misplaced:
            yield f"{file}:{line}: {what}"
        for line, variable, read in body.lost():
            yield f"{file}:{line}: `{variable}` is lost by this await, and read in line {read}"


def main():
    status = 0
    for file in sys.argv[1:]:
        try:
            with open(file, encoding="utf-8") as text:
                found = list(findings(file, text.read()))
        except (OSError, UnicodeError, Unreadable, IndexError) as error:
            print(f"{file}: {error}", file=sys.stderr)
            status = 2
            continue
        for line in found:
            print(line)
        status = max(status, int(bool(found)))
    return status


if __name__ == "__main__":
    sys.exit(main())
