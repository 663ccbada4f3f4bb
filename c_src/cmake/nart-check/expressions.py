# SPDX-License-Identifier: MIT OR Apache-2.0
"""What expressions read and set."""
import re

from graph import Graph
from tree import CALLS, callee, inner, kind, number, peel, type_of

UNEVALUATED = {"UnaryExprOrTypeTraitExpr", "OffsetOfExpr", "PredefinedExpr", "LambdaExpr", "BlockExpr",
               "OpaqueValueExpr", "CXXTypeidExpr", "CXXNoexceptExpr", "RequiresExpr"}
CASTS = {"ImplicitCastExpr", "CStyleCastExpr", "CXXStaticCastExpr", "CXXReinterpretCastExpr", "CXXConstCastExpr",
         "CXXFunctionalCastExpr"}
SCALAR = re.compile(r"(const |volatile |un|signed )*(signed|int|long|short|char|_?[Bb]ool|float|double|__int128|enum)\b"
                    r"|.*\*$")
OWN = re.compile(r"nart_\w+_")  # the variables of nart's macros
# Functions that need what their first or second argument points to, though they may change it, too.
USES = (re.compile(r"nart_\w+_(close|release|finish|commit|abort|cancel|detach|downgrade)$"),
        re.compile(r"nart_(\w+_move|bytes_(release|commit|abort))$"))



class Expressions(Graph):
    def __init__(self, tree):
        super().__init__()
        self.tree = tree
        self.variables = {}  # id -> (name, where it is declared)
        self.awaited = None  # in an awaited expression: the places that it sets when it answers
        self.misplaced = []  # (where, what is wrong there)
        self.in_arm = False  # of a NART_ALL: another poll may follow after its answer

    def statement(self, node):
        raise NotImplementedError

    def read(self, place, node):
        self.add("read", place, node)

    def write(self, place, whole, node):
        self.add("set" if whole else "touch", place, node)
        if place is not None and whole and self.awaited is not None and not self.in_arm:
            self.awaited.append(place)

    # ---- places and addresses ----

    def place(self, node):
        """Evaluates an lvalue. Returns the place in a local variable that it denotes, or None; and whether it is
        all of that place."""
        node = peel(node)
        what, parts = kind(node), inner(node)
        if what == "DeclRefExpr":
            variable = node["referencedDecl"]["id"]
            return ((variable,) if variable in self.variables else None), True
        if what == "MemberExpr":
            place, whole = self.target(parts[0]) if node.get("isArrow") else self.place(parts[0])
            return place and (*place, node.get("name", "")), whole
        if what == "ArraySubscriptExpr":
            place, whole = self.target(parts[0])
            self.expression(parts[1])
            index = number(parts[1])
            return (place, False) if place is None or index is None else ((*place, index), whole)
        if what == "UnaryOperator" and node["opcode"] == "*":
            return self.target(parts[0])
        if what == "MaterializeTemporaryExpr" or what in CASTS and node["castKind"] in ("NoOp", "LValueBitCast"):
            return self.place(parts[-1])
        self.expression(node)
        return None, True

    @staticmethod
    def address(node):
        """If it is an address, `&x` or an array, with casts and offsets: (the operand, the offsets). Or None."""
        offsets = []
        while True:
            node = peel(node)
            what, parts = kind(node), inner(node)
            if what == "UnaryOperator" and node["opcode"] == "&":
                return parts[0], offsets
            if what in CASTS and node["castKind"] == "ArrayToPointerDecay":
                return parts[0], offsets
            if what in CASTS and node["castKind"] in ("NoOp", "BitCast"):
                node = parts[-1]
            elif what == "BinaryOperator" and node["opcode"] in ("+", "-") and type_of(node).endswith("*"):
                offsets.append(parts[1])
                node = parts[0]
            else:
                return None

    def target(self, node):
        """place() of what a pointer points to."""
        address = self.address(node)
        if address is None:
            self.expression(node)
            return None, True
        operand, offsets = address
        for offset in offsets:
            self.expression(offset)
        place, whole = self.place(operand)
        return place, whole and not offsets

    # ---- expressions ----

    def branch(self, node):
        """Evaluates a condition. Returns the node where it is true and the one where it is false."""
        node = peel(node)
        what, parts = kind(node), inner(node)
        if what in CASTS and node["castKind"] in ("IntegralToBoolean", "IntegralCast"):
            return self.branch(parts[-1])
        if callee(node)[0] == "__builtin_expect":
            return self.branch(parts[1])
        if what == "UnaryOperator" and node["opcode"] == "!":
            return self.branch(parts[0])[::-1]
        if what == "BinaryOperator" and node["opcode"] in ("&&", "||"):
            yes, no = self.branch(parts[0])
            both = node["opcode"] == "&&"
            self.now = yes if both else no
            outside = self.in_arm
            self.in_arm |= callee(peel(parts[0], "ImplicitCastExpr"))[0] == "nart__arm_in"
            second_yes, second_no = self.branch(parts[1])
            self.in_arm = outside
            return (second_yes, self.node(no, second_no)) if both else (self.node(yes, second_yes), second_no)
        value = number(node)
        if value is None:
            self.expression(node)
        before = self.here()
        return self.node(before if value != 0 else None), self.node(before if not value else None)

    def expression(self, node):
        what = kind(node)
        if not what or what in UNEVALUATED or what.endswith(("Attr", "Type")):
            return
        peeled = peel(node)
        if peeled is not node:
            self.expression(peeled)
        elif self.address(node):
            self.refer(node, self.target(node), node)
        elif what in CALLS:
            self.call(node)
        else:
            getattr(self, f"on_{what}", self.on_parts)(node)

    def on_parts(self, node):
        for part in inner(node):
            self.expression(part)

    def on_ImplicitCastExpr(self, node):
        if node["castKind"] == "LValueToRValue":
            self.read(self.place(inner(node)[0])[0], node)
        elif node["castKind"] == "ToVoid":  # of a variable: no use
            unused = peel(inner(node)[-1])
            self.expression(inner(unused)[0] if unused.get("castKind") == "LValueToRValue" else unused)
        else:
            self.on_parts(node)

    on_CStyleCastExpr = on_CXXStaticCastExpr = on_CXXFunctionalCastExpr = on_ImplicitCastExpr

    def on_MemberExpr(self, node):  # an lvalue that nothing reads
        self.place(node)

    on_DeclRefExpr = on_ArraySubscriptExpr = on_MemberExpr

    def on_UnaryOperator(self, node):
        if node["opcode"] in ("++", "--"):
            self.repeated(node)
            place, whole = self.place(inner(node)[0])
            self.read(place, node)
            self.write(place, whole, node)
        elif node["opcode"] == "*":
            self.place(node)
        elif node["opcode"] == "!":
            self.now = self.node(*self.branch(node))
        else:
            self.on_parts(node)

    def on_BinaryOperator(self, node):
        left, right = inner(node)
        if node["opcode"] in ("&&", "||"):
            self.now = self.node(*self.branch(node))
        elif node["opcode"] == "=":
            self.expression(right)
            self.write(*self.place(left), node)
        else:
            self.on_parts(node)

    def on_CompoundAssignOperator(self, node):
        left, right = inner(node)
        self.repeated(node)
        self.expression(right)
        place, whole = self.place(left)
        self.read(place, node)
        self.write(place, whole, node)

    def repeated(self, node):
        """A change that is made again in each poll, if it is a part of an awaited expression."""
        changed = peel(inner(node)[0]).get("referencedDecl", {}).get("name", "")
        if self.awaited is not None and not OWN.fullmatch(changed):
            self.misplaced.append((node["at"], f"this {node['opcode']} is repeated in each poll: do it before the await"))

    def on_ConditionalOperator(self, node):
        condition, yes, no = inner(node)
        ends = []
        for self.now, part in zip(self.branch(condition), (yes, no)):
            self.expression(part)
            ends.append(self.now)
        self.now = self.node(*ends)

    def on_BinaryConditionalOperator(self, node):  # a ?: b
        self.expression(inner(node)[0])
        before = self.here()
        self.now = self.node(before)
        self.expression(inner(node)[-1])
        self.now = self.node(before, self.now)

    def on_GenericSelectionExpr(self, node):
        for part in inner(node):
            if part.get("selected"):
                self.on_parts(part)

    def on_StmtExpr(self, node):
        self.statement(inner(node)[0])

    # ---- calls ----

    def call(self, node):
        """The arguments are read before the call sets what they point to."""
        name, signature = callee(node)
        parts = inner(node)
        args = parts if re.match("CXX(Construct|Temporary)", kind(node)) else parts[1:]
        if args is not parts and not name:
            self.function(parts[0])
        if name in ("nart__await_begin", "nart__fiber_yield"):
            self.misplaced.append((node["at"], "this is an await of a fiber: in a body it answers -EPERM"))
        later = []
        for index, arg in enumerate(args):
            if name == "nart__scope_begin" and index == 2:
                continue  # see Body.resume_point
            if self.address(arg):
                later.append((arg, self.target(arg), (name, signature, index)))
            elif arg.get("valueCategory") == "lvalue":
                later.append((arg, self.place(arg), None))
            else:
                self.expression(arg)
        for arg, place, use in later:
            self.refer(arg, place, node, use)
        if "noreturn" in signature or name in self.tree.no_return():
            self.now = None

    def function(self, node):
        """What is called: a member function of an object, or by a pointer."""
        member = peel(node, "ImplicitCastExpr")
        if kind(member) == "MemberExpr" and not member.get("isArrow") and "bound member" in type_of(member):
            self.refer(inner(member)[0], self.place(inner(member)[0]), node)
        else:
            self.expression(node)

    def refer(self, node, place, where, use=None):
        """A pointer or a reference to a place is passed to the call `use`, or stored."""
        place, whole = place
        if place is None:
            return
        const = type_of(node).startswith("const ")
        if node.get("valueCategory") == "lvalue":
            const = const and not type_of(node).endswith("*")
        if const or use and self.reads(*use):
            self.read(place, where)
        elif use and self.awaited is not None and self.continues(node, *use):
            self.read(place, where)
            self.add("touch", place, where)
        else:
            if use and self.uses(*use):
                self.read(place, where)
            self.write(place, whole, where)

    @staticmethod
    def uses(name, _, index):
        """Does a function need what it may also change?"""
        return index < len(USES) and USES[index].match(name)

    @staticmethod
    def reads(name, signature, index):
        """Is it one of the arguments of a printf?"""
        declared = signature[signature.find("(") + 1:].split(", ...")
        return len(declared) == 2 and index > declared[0].count(",") and "scanf" not in name

    def continues(self, node, name, _, index):
        """Does an awaited operation need what it stored there in the poll before?"""
        pointee = self.address(node)[0].get("type", {})
        pointee = pointee.get("desugaredQualType", pointee.get("qualType", ""))
        if self.tree.continues(name) or name == "nart_udp_recv_many":  # its `msgs` is an input, too
            return True
        return not SCALAR.match(pointee) and (index == 1 or self.tree.waits(pointee))
