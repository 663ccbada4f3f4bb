# SPDX-License-Identifier: MIT OR Apache-2.0
"""The statements of a body."""
from expressions import OWN, Expressions
from tree import callee, find, inner, is_guard, kind, number, peel, type_of


class Body(Expressions):
    def __init__(self, tree, function):
        super().__init__(tree)
        self.labels, self.gotos = {}, []
        self.leave, self.again, self.switches = [], [], []  # of the loops and switches around it
        self.dispatch = None  # the node of NART_BEGIN's switch
        for part in inner(function):
            if kind(part) == "ParmVarDecl":
                self.declare(part)
            elif kind(part).endswith("Stmt"):
                self.statement(part)
        for node, label in self.gotos:
            self.next[node].add(self.labels[label])

    def findings(self):
        """(file, line, text)"""
        for at, text in self.misplaced:
            yield *at, text
        for (line, variable), read in self.lost().items():
            name, at = self.variables[variable]
            use = "which needs it in each poll" if read == line else f"and read at line {read}"
            yield *at, f"`{name}` is lost by the await at line {line}, {use}: keep it in the frame"

    def statement(self, node):
        handler = getattr(self, f"on_{kind(node)}", None)
        if not kind(node).endswith("Stmt"):
            self.expression(node)
        elif handler:
            handler(node)
        else:
            for part in inner(node):
                self.statement(part)

    # ---- declarations ----

    def declare(self, node):
        name = node.get("name", "")
        if not OWN.fullmatch(name) and not type_of(node).endswith("&"):
            self.variables[node["id"]] = name, node["at"]

    def on_DeclStmt(self, node):
        for part in inner(node):
            if kind(part) == "VarDecl" and part.get("storageClass") not in ("static", "extern") and "tls" not in part:
                self.variable(part)

    def variable(self, node):
        self.declare(node)
        place = (node["id"],) if node["id"] in self.variables else None
        if "init" not in node:
            self.add("kill", place, node)
        elif node["name"] == "nart_r_":
            self.awaits(node)
        else:
            for part in inner(node):
                self.expression(part)
            self.add("set", place, node)

    def awaits(self, node):
        """An awaited expression. It sets its out-parameters when it answers; without an answer, the body does not
        continue. So they are set, whichever of its operations answered."""
        self.awaited = []
        self.on_parts(node)
        for place in self.awaited:
            self.add("kill", place, node)
        self.awaited = None

    # ---- branches and loops ----

    def on_IfStmt(self, node):
        *before, condition, yes, no = inner(node) if node.get("hasElse") else [*inner(node), {}]
        for part in before:
            self.statement(part)
        self.now, otherwise = self.branch(condition)
        self.statement(yes)
        end, self.now = self.now, otherwise
        self.statement(no)
        self.now = self.node(end, self.now)

    def loop(self, body, after, again):
        """The body of a loop; `break` leads to `after`, `continue` to `again`."""
        self.leave.append(after)
        self.again.append(again)
        self.statement(body)
        self.leave.pop()
        self.again.pop()
        self.edge(self.now, again)

    def edge(self, node, after):
        if node is not None:
            self.next[node].add(after)

    def on_WhileStmt(self, node):
        *before, condition, body = inner(node)
        self.repeat(before, condition, {}, [], body)

    def on_ForStmt(self, node):
        first, variable, condition, step, body = inner(node)
        self.statement(first)
        self.repeat([variable], condition, step, [], body)

    def on_CXXForRangeStmt(self, node):
        *before, condition, step, variable, body = inner(node)
        for part in before:
            self.statement(part)
        self.repeat([], condition, step, [variable], body)

    def repeat(self, before, condition, step, each, body):
        head, again, after = self.node(self.here()), self.node(), self.node()
        self.now = head
        for part in before:
            self.statement(part)
        if kind(condition):
            self.now, end = self.branch(condition)
            self.edge(end, after)
        for part in each:
            self.statement(part)
        self.loop(body, after, again)
        self.now = again
        self.expression(step)
        self.edge(self.now, head)
        self.now = after

    def on_DoStmt(self, node):
        head, test, after = self.node(self.here()), self.node(), self.node()
        self.now = head
        self.loop(inner(node)[0], after, test)
        self.now = test
        yes, no = self.branch(inner(node)[1])
        self.edge(yes, head)
        self.edge(no, after)
        self.now = after

    def on_CXXTryStmt(self, node):
        begin, ends = self.here(), []
        for part in inner(node):  # the block, then its handlers
            self.now = self.node(begin, *ends[:1])
            self.statement(part)
            ends.append(self.now)
        self.now = self.node(*ends)

    # ---- switches ----

    def on_SwitchStmt(self, node):
        *before, body = inner(node)
        for part in before:
            self.statement(part)
        dispatch, after = self.here(), self.node()
        named = find(before[-1], lambda n: kind(n) == "DeclRefExpr")
        if self.dispatch is None and any(n["referencedDecl"].get("name") == "nart_at_" for n in named):
            self.dispatch = dispatch
            self.add("begin", (), node)
        elif not any(find(body, lambda n: kind(n) == "DefaultStmt")):
            self.edge(dispatch, after)
        self.leave.append(after)
        self.switches.append(dispatch)
        self.now = None
        self.statement(body)
        self.switches.pop()
        self.leave.pop()
        self.now = self.node(self.now, after)

    def on_CaseStmt(self, node):
        value, statement = inner(node)[0], inner(node)[-1]
        if is_guard(value):
            self.resume_point(statement)
            return
        self.now = self.node(self.now, self.switches[-1])
        self.statement(statement)

    def on_DefaultStmt(self, node):
        own = self.switches[-1] == self.dispatch  # leads back to the switch
        self.now = self.node(self.now, None if own else self.switches[-1])
        self.statement(inner(node)[-1])

    def resume_point(self, node):
        line, statement = number(inner(node)[0]), inner(node)[-1]
        if self.switches[-1] != self.dispatch:
            self.misplaced.append((node["at"], "this await is in a switch of the body: it resumes in the wrong place"))
        # NART_AWAIT_FOR uses its duration when it first waits, and ignores it in later polls.
        for begin in find(statement, lambda n: callee(n)[0] == "nart__scope_begin"):
            self.expression(inner(begin)[3])
        self.now = self.resume[line] = self.node(self.now)
        self.statement(statement)

    # ---- jumps ----

    def on_LabelStmt(self, node):
        self.now = self.labels[node["declId"]] = self.node(self.now)
        self.statement(inner(node)[-1])

    def on_GotoStmt(self, node):
        self.gotos.append((self.here(), node["targetLabelDeclId"]))
        self.now = None

    def on_BreakStmt(self, node):
        if self.dispatch is not None and len(self.leave) == 1:
            self.misplaced.append((node["at"], "this break leaves the body and continues at its NART_END"))
        self.edge(self.now, self.leave[-1])
        self.now = None

    def on_ContinueStmt(self, _):
        self.edge(self.now, self.again[-1])
        self.now = None

    def on_ReturnStmt(self, node):
        answer = peel(inner(node)[0]) if inner(node) else {}
        if callee(answer)[0] != "nart__co_out":
            self.expression(answer)
            if self.dispatch is not None:
                self.misplaced.append((node["at"], "this return leaves the body without NART_RETURN: its next call "
                                       "aborts the process"))
        elif number(inner(answer)[4]):
            self.parks[self.here()] = number(inner(answer)[4])
        else:
            self.expression(inner(answer)[5])
        self.now = None

    def on_GCCAsmStmt(self, node):
        for part in inner(node):
            if part.get("valueCategory") == "lvalue":
                self.write(*self.place(part), part)
            else:
                self.expression(part)
