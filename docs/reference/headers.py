#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Reads the headers by Doxygen. Its XML becomes the objects that pages.py writes.

How headers are read
  1. A field after a comment "private", up to the end of its structure, and one named reserved, is private.
  2. A declaration right below another one shares its comment, and so do the fields of one line.
  3. A comment with dashes on both sides is a heading.
  4. **Ownership**:, **Thread**: and **Cost**: begin sections, which end with the paragraph.
A public symbol without documentation is an error, and so is every warning of Doxygen.
"""
import pathlib
import re
import subprocess
import sys
import textwrap
import xml.etree.ElementTree as ET

HERE = pathlib.Path(__file__).resolve().parent
SHARED = "^"  # stands for a comment that a declaration shares with the one before
EXAMPLE = re.compile(r"^ \* ```[\s\S]*?^ \* ```$|^ \*\n((?: \* {5}.*\n| \*\n(?= \* {5}))+) \*(/?)$", re.MULTILINE)
LABELS = ("Ownership", "Thread", "Cost")


# ---- what Doxygen reads ----------------------------------------------------------------------

def filtered(text):
    """The header as Doxygen reads it: without what is private, with a comment for each symbol. Lines keep their
    numbers."""
    errors = re.findall(r'X\(E(\w+), (-\d+), "(.*?)"\)', text)
    text = re.sub(r"enum { NART_ERRORS.*?};", "enum { " + "".join(
        f"NART_E{name} = {value}, /**< {what} */ " for name, value, what in errors) + "};", text)
    text = EXAMPLE.sub(lambda m: f" * @code\n{m[1]} * @endcode{' */' if m[2] else ''}" if m[1] else m[0], text)
    lines, private, above = [], False, ""
    for line in text.split("\n"):
        if line.startswith("}"):
            private = False
        if re.fullmatch(r"\s+/\*\*? private \*/", line):
            private = True
        declares = re.match(r"NART_API |static inline \w|#define NART_[A-Z0-9]", line)
        ended = re.search(r";(?:\s*/\*.*\*/)?$|^#define .*[^\\]$", above)
        if private or re.match(r"    (?:const )?\w+ \*?reserved\w*(?:\[\d+\])?;", line):
            line = ""
        elif initialiser := re.fullmatch(r"#define NART_\w+_INIT NART__SIZED\((\w+)\)", line):
            line += f" /**< Initialiser of a {initialiser[1]}: its size, and zeros. */"
        elif fields := re.match(r"    ([\w ]+?) (\w+(?:, \w+)+); +(?=/\*\*<)", line):
            names = fields[2].split(", ")
            line = "".join(f"{fields[1]} {n}; /**< {SHARED} */ " for n in names[:-1]) + \
                f"{fields[1]} {names[-1]}; " + line[fields.end():]
        elif declares and ended and "/**<" not in line:
            line = f"{line} /**< {SHARED} */" if line.startswith("#") else f"/** {SHARED} */ {line}"
        above = line
        lines.append(line)
    return "\n".join(lines)


# ---- Doxygen's XML as blocks -----------------------------------------------------------------
# A text is a list of (style, words). A block is ("p", text), ("code", lines), ("list", ordered, items of
# blocks), ("table", rows of texts).

STYLES = {"computeroutput": "code", "bold": "bold", "emphasis": "em"}


def add(text, style, words):
    words = re.sub(r"\s+", " ", words or "")
    if text and text[-1][0] == style:
        text[-1] = (style, re.sub(r" +", " ", text[-1][1] + words))
    elif words:
        text.append((style, words))


def trimmed(text):
    text = [run for run in text if run[1]]
    if text and not text[0][0]:
        text[0] = ("", text[0][1].lstrip())
    if text and not text[-1][0]:
        text[-1] = ("", text[-1][1].rstrip())
    return [run for run in text if run[1]]


def plain(node):
    """The characters of a node; Doxygen writes a space of code as an element."""
    return (node.text or "") + "".join((" " if n.tag == "sp" else plain(n)) + (n.tail or "") for n in node)


def blocks_of(node, doc):
    """The blocks of a node. What is returned, and parameters, go to `doc` instead."""
    blocks, text = [], []

    def close():
        if trimmed(text):
            blocks.append(("p", trimmed(text)))
        text.clear()

    def walk(node, style):
        add(text, style, node.text)
        for n in node:
            if n.tag in STYLES or n.tag in ("ref", "ulink"):
                walk_code(n) if n.tag == "computeroutput" else walk(n, STYLES.get(n.tag, style))
            elif n.tag in ("ndash", "mdash"):
                add(text, style, "-" * (2 if n.tag == "ndash" else 3))
            else:
                close()
                block(n)
            add(text, style, n.tail)

    def walk_code(n):
        text.append(("code", re.sub(r"\s+", " ", plain(n))))

    def block(n):
        if n.tag in ("para", "parametername"):
            walk(n, "")
            close()
        elif n.tag in ("programlisting", "verbatim"):
            rows = n.findall("codeline")
            code = "\n".join(map(plain, rows)) if rows else n.text
            blocks.append(("code", textwrap.dedent(code.strip("\n")).rstrip()))
        elif n.tag in ("itemizedlist", "orderedlist"):
            items = [blocks_of(item, doc) for item in n.findall("listitem")]
            blocks.append(("list", n.tag == "orderedlist", items))
        elif n.tag == "table":
            blocks.append(("table", [[blocks_of(e, doc)[0][1] if len(e) and blocks_of(e, doc) else []
                                      for e in row] for row in n.findall("row")]))
        elif n.tag == "simplesect" and n.get("kind") == "return":
            doc.returns += blocks_of(n, doc)
        elif n.tag == "parameterlist":
            for item in n.findall("parameteritem"):
                names = ", ".join(plain(p) for p in item.iter("parametername"))
                doc.params.append((names, blocks_of(item.find("parameterdescription"), doc)))
        else:
            sys.exit(f"docs/reference/pages.py does not know Doxygen's <{n.tag}>: {plain(n)[:60]}")

    walk(node, "")
    close()
    return blocks


class Doc:
    """The documentation of a header or a symbol."""

    def __init__(self, node):
        self.returns, self.params, self.labels = [], [], {}
        self.body = blocks_of(node.find("briefdescription"), self) + \
            blocks_of(node.find("detaileddescription"), self)
        self.body = self.labelled(self.body)
        self.returns = self.labelled(self.returns)
        self.params = [(names, self.labelled(text)) for names, text in self.params]
        self.shared = self.words() == SHARED

    def words(self):
        return "".join(w for _, w in self.body[0][1]) if self.body and self.body[0][0] == "p" else ""

    def labelled(self, blocks):
        """The blocks without the sections of rule 5."""
        kept = []
        for block in blocks:
            if block[0] != "p":
                kept.append(block)
                continue
            into = text = []
            for i, (style, words) in enumerate(block[1]):
                after = block[1][i + 1][1] if i + 1 < len(block[1]) else ""
                if style == "bold" and words in LABELS and after.startswith(":"):
                    into = []
                    self.labels.setdefault(words, []).append(("p", into))
                elif not into and into is not text:
                    into.append((style, words.lstrip(": ")))
                else:
                    into.append((style, words))
            if trimmed(text):
                kept.append(("p", trimmed(text)))
        for label, texts in self.labels.items():
            self.labels[label] = [("p", trimmed(text)) for _, text in texts]
        return kept

    def summary(self):
        """The first sentence, as words."""
        text = re.sub(r"\s+", " ", self.words())
        return re.match(r".*?[^.](?=[.?:;](?:\s|$))|.*", re.sub(r"\s+\((?:[^()]|\([^()]*\))*\)", "", text))[0]


# ---- symbols ---------------------------------------------------------------------------------

class Symbol:
    """A function, macro, type or constant; those that share its comment are in `more`."""

    def __init__(self, node, doc=None):
        find = {n.tag: n for n in node}
        self.name = (find["name"] if "name" in find else find["compoundname"]).text
        self.kind, self.more, self.private = node.get("kind"), [], False
        self.line = int(find["location"].get("line")) if "location" in find else 0
        self.doc = doc or Doc(node)
        self.value = re.sub(r"^= ", "", plain(find["initializer"])) if "initializer" in find else ""
        self.args = plain(find["argsstring"]) if "argsstring" in find else ""
        if self.kind == "define" and node.find("param") is not None:
            self.args = f"({', '.join(plain(p) for p in node.findall('param/defname'))})"
        declared = plain(find["definition"]) if "definition" in find else self.name
        declared = re.sub(r"\w+::|^static (inline )?", "", declared)
        declared = re.sub(r"\((\**) (\w+)\) ?\(", r" (\1\2)(", declared)
        self.declared = re.sub(r"(?<=\w) *(\*+) *(?=\w)", r" \1", declared)
        parts = node.findall("enumvalue") + node.findall("sectiondef/memberdef")
        self.members = together(map(Symbol, parts), after=self.kind != "struct")
        if self.name.startswith("@"):
            self.name = ""

    def is_constant(self):
        return self.kind in ("define", "enumvalue") and not self.args or self.kind == "enum" and not self.name

    def names(self):
        return [self.name] + [s.name for s in self.more]


def together(symbols, after=True):
    """The symbols; those that share a comment with the one before them, or after them, are in its `more`."""
    found, waiting = [], []
    for symbol in symbols:
        if symbol.doc.shared and after:
            found[-1].more.append(symbol)
        elif symbol.doc.shared:
            waiting.append(symbol)
        else:
            first, *waiting = [*waiting, symbol]
            first.doc, first.more, waiting = symbol.doc, waiting, []
            found.append(first)
    return found


class Header:
    """A header: its documentation, its symbols and headings in their order, as pairs (heading or None, symbol)."""

    def __init__(self, node, structs, source):
        self.name, self.doc = "nart/" + node.findtext("compoundname"), Doc(node)
        nodes = node.findall("sectiondef/memberdef") + [structs[n.get("refid")] for n in node.findall("innerclass")]
        symbols = sorted(map(Symbol, nodes), key=lambda s: s.line)
        self.symbols = together([s for s in symbols if s.name or s.members])
        for s in self.symbols:
            fields = re.search(rf"struct {s.name} {{(.*?)\n}}", source, re.DOTALL) if s.kind == "struct" else None
            s.private = bool(fields and re.search(r"/\*\*? private|reserved", fields[1]))
        self.headings = [(source.count("\n", 0, m.start()), m[1], " ".join(m[2].replace(" * ", " ").split()))
                         for m in re.finditer(r"^/\* -{4} (.*?) -{4,}(.*?)\*/", source, re.MULTILINE | re.DOTALL)]


def read(include, doxygen, folder):
    """All headers, by Doxygen, which works in `folder`."""
    copies = pathlib.Path(folder, "headers")
    (copies / "nart").mkdir(parents=True)
    for path in pathlib.Path(include, "nart").glob("*.h"):
        (copies / "nart" / path.name).write_text(filtered(path.read_text()))
    settings = (HERE / "Doxyfile").read_text() + f"""
INPUT = "{copies}/nart"
STRIP_FROM_PATH = "{copies}"
STRIP_FROM_INC_PATH = "{copies}"
OUTPUT_DIRECTORY = "{folder}"
"""
    done = subprocess.run([doxygen, "-"], input=settings, text=True, stderr=subprocess.PIPE)
    if done.returncode != 0 or done.stderr:
        sys.exit(done.stderr.replace(str(copies), str(include)) + "The reference was not written.")
    nodes = {f: ET.parse(f).getroot().find("compounddef") for f in pathlib.Path(folder, "xml").glob("*_*.xml")}
    structs = {n.get("id"): n for n in nodes.values() if n.get("kind") in ("struct", "union")}
    found = [Header(n, structs, pathlib.Path(include, n.find("location").get("file")).read_text())
             for _, n in sorted(nodes.items()) if n.get("kind") == "file"]
    members = [(h.name, m) for h in found for s in h.symbols for m in s.members]  # of enums: Doxygen is silent
    bare = [f"{name}: {m.name} is not documented." for name, m in members if not m.doc.body]
    if bare:
        sys.exit("\n".join(bare) + "\nThe reference was not written.")
    return found
