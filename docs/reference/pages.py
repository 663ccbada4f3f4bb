#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Writes the reference from the headers: pages in Markdown for the book, and manual pages.

    pages.py --include DIR --out DIR [--doxygen PROGRAM] [--crate DIR] [--version V]

writes OUT/site/*.md and OUT/man3/*.3, and copies DIR, which rustdoc has written, to OUT/site/crate.

Each header becomes a page of the site and a manual page. Each function and each type has a place on the page of
its header, and a manual page of its own or one that it shares: with declarations that have the same comment, and
with the function before it if its text is only what it returns, or begins with "The same" or "Both as".
"""
import argparse
import os
import pathlib
import re
import shutil
import sys
import tempfile
import textwrap
import time

import headers

NAME = re.compile(r"nart/\w+\.h|\bnart_\w+(?:\.\w+|\(\))?|\bNART_\w+(?:\(\)|\*)?|(?<![\w-])-E[A-Z][A-Z0-9]+\b"
                  r"|\brules? \d(?:(?:, | and | to )\d)*\b(?! of)")
CODE = r"(?:-E[A-Z0-9]+|NART_E[A-Z_]+|NART_PENDING|NART_READ|\d+)"
CODES = re.compile(rf"({CODE}(?:(?:, and |, | and | or ){CODE})*)(?=$|[\s,])[\s,]*")


def answers(text):
    """A list of answers as [(codes, text)], which semicolons outside of brackets separate; and the sentences that
    follow the last one."""
    parts, depth, rest = [[]], 0, []
    for style, words in text:
        begin = 0
        for i, c in enumerate(words if not style else ""):
            depth += (c == "(") - (c == ")")
            if c == ";" and depth == 0:
                parts[-1].append((style, words[begin:i]))
                parts.append([])
                begin = i + 1
        parts[-1].append((style, words[begin:]))
    for i, (style, words) in enumerate(parts[-1]):
        if not style and len(parts) > 1 and (end := re.search(r"\.\s+(?=[A-Z])", words)):
            rest = [("", words[end.end():])] + parts[-1][i + 1:]
            parts[-1][i:] = [("", words[:end.start()])]
            break
    found = []
    for part in map(headers.trimmed, parts):
        codes = CODES.match(part[0][1]) if part and not part[0][0] else None
        if codes:
            part = headers.trimmed([("", part[0][1][codes.end():])] + part[1:])
        if part and len(parts) > 1 and not part[-1][0]:
            part[-1] = ("", re.sub(r"\.$", "", part[-1][1]))
        found.append((codes[1] if codes else "", part))
    return found, rest


def wrapped(declaration, width):
    """A declaration; one that is long has a line for each parameter."""
    head, bracket, tail = declaration.partition("(")
    if len(declaration) <= width or ")(" in tail:
        return declaration
    return head + bracket + "\n    " + re.sub(r", ", ",\n    ", tail)


def declaration(s, width):
    """How a symbol is declared, and what shares its comment."""
    if s.kind == "struct":
        fields = [f"    {f.declared}{''.join(', ' + m.name for m in f.more)};" for f in s.members]
        return "\n".join([f"typedef struct {s.name} {{", *fields, *["    /* private */"] * s.private, f"}} {s.name};"])
    lines = [wrapped(d.name + d.args, width) if d.kind == "define" else
             f"enum {d.name};" if d.kind == "enum" else
             wrapped(d.declared + (d.args if d.kind == "function" else ""), width) + ";"
             for d in [s, *s.more]]
    return "\n".join(lines)


# ---- the site --------------------------------------------------------------------------------

class Site:
    """Writes Markdown."""

    def __init__(self, all_headers):
        self.places = {}
        for h in all_headers:
            self.places[h.name] = (self.file(h), "")
            for s in h.symbols:
                for name in filter(None, s.names() + [n for m in s.members for n in m.names() if s.kind == "enum"]):
                    self.places.setdefault(name, (self.file(h), "#" + name))

    @staticmethod
    def file(header):
        return header.name.split("/")[1].replace(".h", ".md")

    def reference(self, name):
        """What a name refers to, as a link if that is elsewhere."""
        if name.startswith("rule"):
            return f"[{name}](#{self.file_of})" if self.here[1] else name
        page, anchor = self.places.get(re.sub(r"\(\)$|(?<=\w)\.(?!h$)\w+$", "", name), ("", ""))
        if not page or anchor == self.here[1] != "":
            return f"`{name}`"
        return f"[`{name}`]({'' if page == self.here[0] and anchor else page}{anchor})"

    def text(self, text):
        made = ""
        for style, words in text:
            if style == "code":
                made += self.reference(words) if NAME.fullmatch(words) else f"`{words}`"
                continue
            parts, at = "", 0
            for m in NAME.finditer(words):
                parts += self.escaped(words[at:m.start()]) + self.reference(m[0])
                at = m.end()
            parts += self.escaped(words[at:])
            mark = {"bold": "**", "em": "*"}.get(style, "")
            made += mark + parts + mark
        return made

    @staticmethod
    def escaped(words):
        return re.sub(r"([\\`*_\[\]<>|#{}])", r"\\\1", words)

    def blocks(self, blocks, indent=""):
        lines = []
        for kind, *rest in blocks:
            if kind == "p":
                lines += textwrap.wrap(self.text(rest[0]), 116, initial_indent=indent, subsequent_indent=indent,
                                       break_long_words=False, break_on_hyphens=False)
            elif kind == "code":
                lines += [indent + line for line in ["```c", *rest[0].split("\n"), "```"]]
            elif kind == "list":
                for number, item in enumerate(rest[1], 1):
                    mark = f"{number}." if rest[0] else "-"
                    inner = self.blocks(item, indent + "    ")
                    lines += [f"{indent}{mark:<4}{inner[0].strip()}", *inner[1:]]
            else:
                rows = [[self.text(cell) for cell in row] for row in rest[0]]
                rows.insert(1, ["---"] * len(rows[0]))
                lines += [f"{indent}| {' | '.join(row)} |" for row in rows]
            lines.append("")
        return lines

    def documentation(self, doc):
        lines = self.blocks(doc.body)
        if doc.params:
            for names, blocks in doc.params:
                lines += self.item(", ".join(f"`{n}`" for n in names.split(", ")), blocks)
            lines.append("")
        for n, (kind, *rest) in enumerate(doc.returns):
            found, after = answers(rest[0]) if kind == "p" and n == 0 else ([], [])
            if len(found) > 1:
                lines += ["**Returns**", ""]
                for codes, text in found:
                    codes = re.sub(r"[\w-]+", lambda m: m[0] if m[0] in ("and", "or") else self.reference(m[0]), codes)
                    lines.append("- " + codes + (": " if codes and text else "") + self.text(text))
                lines += ["", *self.blocks([("p", after)] if after else [])]
            else:
                title = [("bold", "Returns"), ("", " ")] if n == 0 else []
                lines += self.blocks([(kind, title + rest[0])] if kind == "p" else [(kind, *rest)])
        for label in headers.LABELS:
            for _, text in doc.labels.get(label, []):
                lines += self.blocks([("p", [("bold", label), ("", ": "), *text])])
        return lines

    def item(self, names, blocks):
        inner = self.blocks(blocks, "    ")
        return [f"-   {names}" + (": " + inner[0].strip() if inner else ""), *inner[1:-1]]

    def constants(self, s):
        """The items of a symbol that is, or has, constants."""
        lines = []
        for c in s.members if s.kind == "enum" else [s]:
            values = [f"`{n.name}`" + (f" = `{n.value}`" if re.fullmatch(r"(?!NART__)[-\w()]{1,24}", n.value) else "")
                      for n in [c, *c.more]]
            anchors = "".join(f'<a id="{name}"></a>' for name in c.names())
            lines += self.item(anchors + ", ".join(values), c.doc.body + [b for t in c.doc.labels.values() for b in t])
        return lines

    def symbol(self, s):
        self.here = (self.here[0], "#" + s.name)
        if s.is_constant():
            return (self.blocks(s.doc.body) if s.kind == "enum" else []) + self.constants(s)
        call = "()" if s.kind == "function" or s.args and s.kind == "define" else ""
        lines = ["### " + ", ".join(f"`{n}{call}`" for n in s.names()) + f" {{ #{s.name} }}", ""]
        lines += ["".join(f'<a id="{s.name}"></a>' for s in s.more), ""] if s.more else []
        lines += self.blocks([("code", declaration(s, 48))] if s.kind != "enum" else []) + self.documentation(s.doc)
        if s.kind == "enum":
            lines += self.constants(s) + [""]
        elif s.members:
            for f in s.members:
                lines += self.item(", ".join(f"`{n}`" for n in f.names()), f.doc.body)
            lines.append("")
        return lines

    def page(self, h):
        self.here, self.file_of = (self.file(h), ""), h.name.split("/")[1]
        lines = [f"# {h.name} {{ #{self.file_of} }}", "", *self.documentation(h.doc)]
        before = None
        for line, s in sorted([(s.line, s) for s in h.symbols] + [(n, (t, x)) for n, t, x in h.headings],
                              key=lambda pair: pair[0]):
            if isinstance(s, tuple):
                title, text = s
                lines += ["", f"## {title[:1].upper()}{title[1:]}", ""]
                lines += self.blocks([("p", code_in(text))] if text else [])
            else:
                if before and before.is_constant() and (s.doc.body if s.kind == "enum" else not s.is_constant()):
                    lines.append("")
                elif before and s.is_constant() and not before.is_constant() and not (s.kind == "enum" and s.doc.body):
                    lines += ["**Constants**", ""]
                lines += self.symbol(s)
            before = s if not isinstance(s, tuple) else None
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).rstrip() + "\n"

    def index(self, all_headers, crate):
        self.here = ("index.md", "")
        lines = ["# Reference", "", "One page for each header. `man nart_tcp_recv` shows the same in a terminal.", ""]
        for h in all_headers:
            lines.append(f"- [`{h.name}`]({self.file(h)}): {self.text([('', h.doc.summary())])}")
        if crate:
            lines += ["", "Rust: [the crate nart-tokio](crate/nart_tokio/index.html)."]
        return "\n".join(lines) + "\n"


def code_in(words):
    """A text in which backticks mark code."""
    return [("code" if i % 2 else "", part) for i, part in enumerate(words.split("`")) if part]


# ---- manual pages ----------------------------------------------------------------------------

def capital(text):
    return [("", text[0][1][:1].upper() + text[0][1][1:]), *text[1:]] if text and not text[0][0] else text



def escaped(words):
    words = words.replace("\\", "\\e").replace("-", "\\-")
    return words.replace("'", "\\(aq").replace("`", "\\(ga").replace("^", "\\(ha").replace("~", "\\(ti")


def listed(macro, names):
    """A line for each name, with commas."""
    return [macro.format(n) + " ," * (n != names[-1]) for n in names]


class Man:
    """Writes mdoc(7)."""

    def __init__(self, all_headers, date, version):
        self.first = [f".Dd {date}", None, f".Os nart {version}".strip()]
        self.pages, self.page_of = [], {}
        for h in all_headers:
            self.page_of[h.name] = h.name.replace("/", "_")
            leader = None
            for s in h.symbols:
                if s.is_constant():
                    continue
                if not (leader and s.kind in ("function", "define") and re.match("$|The same|Both as", s.doc.words())):
                    leader = [s]
                    self.pages.append((h, leader))
                else:
                    leader.append(s)
                for name in s.names():
                    self.page_of.setdefault(name, leader[0].name)
                leader = leader if s.kind in ("function", "define") else None

    def name(self, name):
        if name.startswith("rule"):
            return f"{name} of \\fB{self.top}\\fP(3)" if self.top else name
        return "\\fB" + name.replace("-", "\\-") + "\\fP"

    def text(self, text):
        made = ""
        for style, words in text:
            if style:
                font = {"em": "I"}.get(style, "I" if words.strip("*") in self.params else "B")
                made += f"\\f{font}{escaped(words)}\\fP"
            else:
                at = 0
                for m in NAME.finditer(words):
                    made += words[at:m.start()].replace("\\", "\\e") + self.name(m[0])
                    at = m.end()
                made += words[at:].replace("\\", "\\e")
        made = re.sub(r"([.:]) (?=[A-Z\\])", r"\1\n", made)
        return [re.sub(r"^(?=[.'])", "\\&", line) for part in made.split("\n")
                for line in textwrap.wrap(part, 78, break_long_words=False, break_on_hyphens=False)]

    def blocks(self, blocks):
        lines = []
        for kind, *rest in blocks:
            if kind == "p":
                lines += [".Pp", *self.text(rest[0])]
            elif kind == "code":
                lines += [".Bd -literal -offset indent", *("\\&" * line.startswith((".", "'")) + escaped(line)
                                                           for line in rest[0].split("\n")), ".Ed"]
            elif kind == "list":
                lines.append(".Bl -enum" if rest[0] else ".Bl -bullet")
                for item in rest[1]:
                    lines += [".It", *self.inner(item)]
                lines.append(".El")
            else:
                rows = rest[0]
                lines += [".TS", "allbox;", f"{'lbx ' * len(rows[0])}".strip(), f"{'lx ' * len(rows[0])}".strip() + "."]
                lines += ["\t".join("T{\n" + "\n".join(self.text(cell)) + "\nT}" for cell in row) for row in rows]
                lines.append(".TE")
        return lines

    def inner(self, blocks):
        """Blocks where a paragraph has begun already."""
        lines = self.blocks(blocks)
        return lines[1:] if lines[:1] == [".Pp"] else lines

    def tagged(self, items, compact=""):
        lines = [f".Bl -tag -width Ds {compact}".strip()]
        for tag, blocks in items:
            lines += [".It " + tag, *self.inner(blocks)]
        return [*lines, ".El"] if items else []

    @staticmethod
    def titled(s, group, blocks):
        """The blocks, which begin with the function's name if it is not the first of the page."""
        if not blocks or blocks[0][0] != "p":
            return blocks
        if s is group[0]:
            return [("p", capital(blocks[0][1])), *blocks[1:]]
        call = "()" if s.kind == "function" or s.args else ""
        return [("p", [("bold", s.name + call), ("", ": "), *blocks[0][1]]), *blocks[1:]]

    def returns(self, s, group):
        lines = []
        for n, (kind, *rest) in enumerate(s.doc.returns):
            found, after = answers(rest[0]) if kind == "p" and n == 0 else ([], [])
            if len(found) > 1:
                items = [("Sy " + escaped(c).replace(",", " ,"), [("p", t)]) if c else
                         ("No " + " ".join(self.text(t)), []) for c, t in found]
                lines += self.blocks(self.titled(s, group, [("p", [("", "")])])) if s is not group[0] else []
                lines += self.tagged(items, "-compact") + self.blocks([("p", after)] if after else [])
            else:
                lines += self.blocks(self.titled(s, group, [(kind, *rest)]))
        return lines

    def symbol_page(self, h, group):
        first, several = group[0], len(group) > 1
        self.top = self.page_of[h.name]
        self.params = set(re.findall(r"\w+(?=[,)\]])", " ".join(s.args for s in group)))
        names = [n for s in group for n in s.names()]
        lines = self.begin(first.name, names, first.doc.summary()) + [".Sh SYNOPSIS", f".In {h.name}"]
        for s in [d for s in group for d in (s, *s.more)]:
            if s.kind == "function" or s.kind == "define":
                lines += [f".Ft {s.declared[:-len(s.name)].strip()}"] * (s.kind == "function")
                lines += [f".Fo {s.name}", *(f'.Fa "{a}"' for a in s.args[1:-1].split(", ")), ".Fc"]
            elif s.kind == "enum":
                values = [f"{m.name}{' = ' * bool(m.value)}{m.value}," for m in s.members]
                lines += [".Bd -literal", *values, ".Ed"]
            else:
                lines += [".Bd -literal", *escaped(declaration(s, 72)).split("\n"), ".Ed"]
        lines.append(".Sh DESCRIPTION")
        for s in group:
            lines += self.blocks(self.titled(s, group, s.doc.body))
            lines += self.tagged([("Fa " + n.replace(",", " ,"), b) for n, b in s.doc.params])
            lines += self.tagged([(("Dv " if s.kind == "enum" else "Va ") + " , ".join(m.names()), m.doc.body)
                                  for m in s.members])
        lines += [".Sh RETURN VALUE"] * any(s.doc.returns for s in group)
        for s in group:
            lines += self.returns(s, group)
        for label in headers.LABELS:
            lines += [f".Sh {label.upper()}"] * any(label in s.doc.labels for s in group)
            for s in group:
                texts = s.doc.labels.get(label, [])
                if s is first or texts != first.doc.labels.get(label):
                    lines += self.blocks(self.titled(s, group, texts))
        return lines + self.see_also(h, group, names)

    def see_also(self, h, group, names):
        docs = [s.doc for s in group] + [m.doc for s in group for m in s.members]
        words = " ".join(map(str, [(d.body, d.returns, d.params, d.labels) for d in docs]))
        found = {self.page_of.get(n.removesuffix("()")) for n in NAME.findall(words + group[0].args)}
        found = sorted((found | {self.page_of[h.name]}) - {None, *names}, key=str.lower)
        return [".Sh SEE ALSO", *listed(".Xr {} 3", found)]

    def begin(self, page, names, summary):
        self.first[1] = f".Dt {page.upper()} 3"
        summary = summary[:1].lower() + summary[1:] if not summary[1:2].isupper() else summary
        summary = escaped(summary).replace('"', "\\(dq")
        return [*self.first, ".Sh NAME", *listed(".Nm {}", names), f".Nd {summary}"]

    def header_page(self, h):
        self.params, self.top = set(), ""
        lines = self.begin(self.page_of[h.name], [self.page_of[h.name]], h.doc.summary())
        lines += [".Sh SYNOPSIS", f".In {h.name}", ".Sh DESCRIPTION", *self.blocks(h.doc.body)]
        for label in headers.LABELS:
            for _, text in h.doc.labels.get(label, []):
                lines += self.blocks([("p", [("bold", label), ("", ": "), *text])])
        constants = [c for s in h.symbols if s.is_constant() for c in (s.members if s.kind == "enum" else [s])]
        groups = [group for of, group in self.pages if of is h]
        for title, items in (
                ("FUNCTIONS AND TYPES", [(self.names(g), [("p", [("", g[0].doc.summary())])]) for g in groups]),
                ("CONSTANTS", [("Dv " + " , ".join(c.names()), c.doc.body) for c in constants])):
            lines += [f".Sh {title}", *self.tagged(items, "-compact")] if items else []
        others = sorted({self.page_of[n] for n in re.findall(r"nart/\w+\.h", str(h.doc.body)) if n != h.name})
        return lines + ([".Sh SEE ALSO", *listed(".Xr {} 3", others)] if others else [])

    @staticmethod
    def names(group):
        return "Sy " + " , ".join(n for s in group for n in s.names())

    def write(self, all_headers, folder):
        folder.mkdir(parents=True)
        for h in all_headers:
            self.finish(folder / f"{self.page_of[h.name]}.3", self.header_page(h))
        for h, group in self.pages:
            self.finish(folder / f"{group[0].name}.3", self.symbol_page(h, group))
            for name in [n for s in group for n in s.names()][1:]:
                (folder / f"{name}.3").write_text(f".so man3/{group[0].name}.3\n")

    @staticmethod
    def finish(path, lines):
        text = "\n".join(lines) + "\n"
        text = re.sub(r"(\.Sh .*\n)\.Pp\n", r"\1", text)
        text = re.sub(r"\.Pp\n(?=\.(Bd|Bl|Sh|TS)|\Z)", "", text)
        path.write_text(("'\\\" t\n" if ".TS\n" in text else "") + text)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--include", required=True)
    parser.add_argument("--out", required=True, type=pathlib.Path)
    parser.add_argument("--doxygen", default="doxygen")
    parser.add_argument("--crate", default="")
    parser.add_argument("--version", default="", help="shown by manual pages")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = headers.read(args.include, args.doxygen, folder)
    shutil.rmtree(args.out, ignore_errors=True)
    (args.out / "site").mkdir(parents=True)
    if args.crate:
        shutil.copytree(args.crate, args.out / "site/crate")
    site = Site(found)
    for h in found:
        (args.out / "site" / site.file(h)).write_text(site.page(h))
    (args.out / "site/index.md").write_text(site.index(found, args.crate))
    date = time.strftime("%B %-d, %Y", time.gmtime(int(os.environ.get("SOURCE_DATE_EPOCH", time.time()))))
    Man(found, date, args.version).write(found, args.out / "man3")


if __name__ == "__main__":
    main()
