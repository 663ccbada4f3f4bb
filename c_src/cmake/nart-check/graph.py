# SPDX-License-Identifier: MIT OR Apache-2.0
"""The graph of a body, and what its awaits lose."""


class Graph:
    """A node has steps, (what, place, line), and the nodes that follow. A place is (variable, members...). What:

    read   uses the value
    set    gives another one
    touch  changes a part of it
    kill   ends it: what is read later was set later
    begin  NART_BEGIN: all that was set before is set again in each poll
    """

    def __init__(self):
        self.steps, self.next = [], []
        self.parks, self.resume = {}, {}  # node that waits -> line of its await; line -> node of its resume point
        self.now = self.node()  # None: cannot be reached

    def node(self, *before):
        self.steps.append([])
        self.next.append(set())
        for b in before:
            if b is not None:
                self.next[b].add(len(self.steps) - 1)
        return len(self.steps) - 1

    def here(self):
        if self.now is None:
            self.now = self.node()
        return self.now

    def add(self, what, place, node):
        if place is not None:
            self.steps[self.here()].append((what, place, node["at"][1]))

    def lost(self):
        """{(line of the await, variable): line where it is read}"""
        for node, line in self.parks.items():
            if line in self.resume:
                self.next[node].add(self.resume[line])
        parts = self.parts()
        live, changed = self.live(parts), self.changed(parts)
        found = {}
        for node, line in self.parks.items():
            after = live[self.resume[line]] if line in self.resume else {}
            for part in changed[node] & after.keys():
                key = line, part[0]
                found[key] = min(found.get(key, after[part]), after[part])
        return found

    def parts(self):
        """{place: those within it that the body names}. They are what the passes follow."""
        named = {}
        for steps in self.steps:
            for _, place, _ in steps:
                if place:
                    named.setdefault(place[0], set()).add(place)
        return {p: [q for q in places if q[:len(p)] == p] for places in named.values() for p in places}

    def live(self, parts):
        """What may be read after the start of each node before it is set: {part: line of the read}."""
        live = [{} for _ in self.steps]
        again = True
        while again:
            again = False
            for n in reversed(range(len(self.steps))):
                now = {}
                for after in self.next[n]:
                    now.update(live[after])
                for what, place, line in reversed(self.steps[n]):
                    for part in parts.get(place, ()):
                        if what == "read":
                            now[part] = line
                        elif what in ("set", "kill"):
                            now.pop(part, None)
                if now.keys() != live[n].keys():
                    live[n], again = now, True
        return live

    def changed(self, parts):
        """What may have been set since the last await at the end of each node."""
        start, end = [None] * len(self.steps), [set() for _ in self.steps]
        start[0], todo = set(), [0]
        while todo:
            n = todo.pop()
            end[n] = set(start[n])
            for what, place, _ in self.steps[n]:
                if what == "begin":
                    end[n].clear()
                elif what in ("set", "touch"):
                    end[n].update(parts[place])
            passes = set() if n in self.parks else end[n]
            for after in self.next[n]:
                if start[after] is None or not passes <= start[after]:
                    start[after] = passes | (start[after] or set())
                    todo.append(after)
        return end
