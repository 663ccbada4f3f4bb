# SPDX-License-Identifier: MIT OR Apache-2.0
"""The syntax tree of a file, as clang dumps it (-ast-dump=json)."""
import json
import re

TRANSPARENT = ("ParenExpr", "ConstantExpr", "ExprWithCleanups", "FullExpr")
CALLS = {"CallExpr", "CXXMemberCallExpr", "CXXOperatorCallExpr", "CXXConstructExpr", "CXXTemporaryObjectExpr",
         "UserDefinedLiteral"}
# A task waits in these, or an operation keeps its state in them; all other handles of nart contain one, or belong to
# the first argument.
WAITS = re.compile(r"nart_(co|timer|waiter|stream|stream_copier)|nart__waitq?")


def kind(node):
    return node.get("kind", "") if node else ""


def inner(node):
    return node.get("inner", [])


def type_of(node):
    return node.get("type", {}).get("qualType", "")


def peel(node, *more):
    """The node without parentheses, and without the other kinds named."""
    while kind(node) in (*TRANSPARENT, *more) and inner(node):
        node = inner(node)[-1]
    return node


def find(node, wanted):
    """The nodes for which wanted() is true, from this one down, in the order of the source."""
    todo = [node]
    while todo:
        node = todo.pop()
        if wanted(node):
            yield node
        todo += reversed(inner(node))


def number(node):
    """The value of a constant, or None."""
    node = peel(node, "ImplicitCastExpr", "CStyleCastExpr")
    if kind(node) in ("IntegerLiteral", "CharacterLiteral", "CXXBoolLiteralExpr"):
        return int(node["value"])
    return None


def callee(node):
    """The name and the type of the function that a call names."""
    if kind(node) in CALLS and inner(node):
        named = peel(inner(node)[0], "ImplicitCastExpr")
        if kind(named) == "DeclRefExpr":
            target = named["referencedDecl"]
            return target.get("name", ""), type_of(target)
    return "", ""


def is_begin(node):
    """The label in NART_BEGIN."""
    return kind(node) == "LabelStmt" and node.get("name") == "nart_resume_"


def is_guard(node):
    """The value of the first case label of a resume point, NART__AWAITS_STAND_AFTER_NART_BEGIN_AND_IN_NO_SWITCH."""
    return any(n["opcode"] == "<<" and type_of(n) == "nart__point"
               for n in find(node, lambda n: kind(n) == "BinaryOperator"))


class Tree:
    """The dump as text: most of it is about headers, so only functions with bodies are parsed."""

    def __init__(self, text):
        self.text = text
        self.waiting = {}
        self.continuing = {}
        self.not_returning = None

    def object_at(self, start, indent):
        """The JSON object with this indentation that contains `start`, and where it begins and ends."""
        first = self.text.rfind(b"\n" + indent + b"{", 0, start) + 1
        last = self.text.find(b"\n" + indent + b"}", start) + len(indent) + 2
        return json.loads(self.text[first:last]), first, last

    def bodies(self):
        """The functions with a NART_BEGIN. Each of their nodes has `at`, its (file, line)."""
        end = 0
        while (at := self.text.find(b'"name": "nart_resume_"', end)) >= 0:
            node, first, end = self.object_at(at, b"    ")
            Places(self.text, first).give(node)
            for function in find(node, lambda n: re.match("(Function|CXX(Method|Conversion))Decl", kind(n))):
                if any(find(function, is_begin)):
                    yield function

    def each(self, what):
        """Where these bytes are, and the indentation of their line. (A regular expression takes seconds.)"""
        at = -1
        while (at := self.text.find(what, at + 1)) >= 0:
            yield at, self.text[self.text.rfind(b"\n", 0, at) + 1:at]

    def no_return(self):
        """The functions that are declared _Noreturn or [[noreturn]]. The attribute of gcc is part of a type."""
        if self.not_returning is None:
            self.not_returning = {"__builtin_unreachable", "__builtin_trap"}
            for kind_of in (b"C11", b"CXX11"):
                for at, indent in self.each(b'"kind": "%sNoReturnAttr"' % kind_of):
                    name = self.text.rfind(b"\n" + indent[4:] + b'"name": "', 0, at)
                    self.not_returning.add(self.text[name:self.text.find(b",", name)].split(b'"')[3].decode())
        return self.not_returning

    def continues(self, function):
        """Does it continue what the poll before began? Such an operation has a parameter `done`."""
        if function not in self.continuing:
            self.continuing[function] = False
            for at, indent in self.each(b'"name": "%s",\n' % function.encode()):
                if re.match(rb'.*\n *"mangledName"', self.text[at:at + 100 + len(function)]):
                    declared, _, _ = self.object_at(at, indent[2:])
                    names = (part.get("name") for part in inner(declared) if kind(part) == "ParmVarDecl")
                    self.continuing[function] = "done" in names
                    break
        return self.continuing[function]

    def waits(self, type_name):
        """Does a task wait in a variable of this type, or in a part of it?"""
        name = re.sub(r"\b(const|volatile|struct|union|class)\b|\[[^]]*\]", "", type_name).strip()
        if WAITS.fullmatch(name):
            return True
        if name not in self.waiting:
            self.waiting[name] = False
            self.waiting[name] = any(self.waits(field) for field in self.fields(name))
        return self.waiting[name]

    def fields(self, name):
        """The types of the fields of a structure."""
        for at, indent in self.each(b'"name": "%s",\n' % name.encode()):
            if re.match(rb'.*\n *"tagUsed": "\w+",\n *"completeDefinition": true', self.text[at:at + 200 + len(name)]):
                record, _, _ = self.object_at(at, indent[2:])
                return [type_of(field) for field in inner(record) if kind(field) == "FieldDecl"]
        return []


class Places:
    """Gives the nodes of an object their places. The dump names a file, a line, and what #line makes of them, only
    where they differ from those of the location before, so this reads every location in order."""

    def __init__(self, text, first):
        self.text = text
        self.file = self.before(b"file", first) or ""
        self.line = self.before(b"line", first) or 0
        begin = text.rfind(b'"file": ' + json.dumps(self.file).encode(), 0, first)
        self.shown = self.before(b"presumedFile", first, max(begin, 0)) or self.file, self.line

    def before(self, key, end, begin=0):
        """The last value of an attribute of locations."""
        while (at := self.text.rfind(b'"%s": ' % key, begin, end)) >= 0:
            line = self.text.rfind(b"\n", 0, self.text.rfind(b"\n", 0, at))
            if key != b"file" or b'"offset"' in self.text[line:at]:  # not of an includedFrom
                return json.loads(self.text[at:self.text.find(b"\n", at)].split(b": ", 1)[1].rstrip(b","))
            end = at
        return None

    def give(self, node):
        todo = [node]
        while todo:
            node = todo.pop()
            declared = self.read(node.get("loc"))
            area = node.get("range", {})
            node["at"] = self.read(area.get("begin"))
            self.read(area.get("end"))
            if node.get("loc"):
                node["at"] = declared
            todo += reversed(inner(node))

    def read(self, location):
        if not location:
            return self.shown
        if "expansionLoc" in location:
            self.read(location["spellingLoc"])
            return self.read(location["expansionLoc"])
        if "file" in location:
            self.file = location["file"]
            self.shown = self.file, self.shown[1]
        if "line" in location:
            self.shown = self.shown[0], location["line"]
        self.shown = location.get("presumedFile", self.shown[0]), location.get("presumedLine", self.shown[1])
        return self.shown
