#!/usr/bin/env python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Draws the pictures of the book from texts.

    draw.py            writes src/pictures/NAME.svg for each NAME.txt beside this file
    draw.py --check    fails if one of them is not what it would write, or belongs to no text
    draw.py --faults   each broken text is refused, with its line

A text begins with `alt: DESCRIPTION`, which is the picture's title. Its lines are those of one of three kinds:

  layers    `row: A | B | C`       boxes side by side, below the previous row; more than four take several lines
            `side: A | B`          a box to the right of the rows so far, and what its arrow to the next row means
  lanes     `lanes: A | B | C`     first: one vertical line for each of those who act
            `A -> B: TEXT`         an arrow
            `A: TEXT`              what A does
            `--- TEXT`             a line across all lanes, for time that passes
  bars      `bar: LABEL | NUMBER`  a bar of that length, with its number
            `note: TEXT`           a line below them

Pictures are narrow, so that a phone shows them in readable size, and have a background of their own, for dark pages.
"""
import pathlib
import re
import sys
import textwrap
from html import escape

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "src" / "pictures"
WIDTH, MARGIN, LINE, CHAR = 440, 10, 16, 6.4
STYLE = """<style>
text { font: 12px sans-serif; fill: #222 }
.free { fill: #fff } .code { font: 11.5px monospace } .head { font-weight: bold }
.box { fill: #e8eaf6; stroke: #3f51b5 } .note { fill: #fff8e1; stroke: #bfa24a }
.side { fill: #fbe9e7; stroke: #bf6a4a }
.line { stroke: #9e9e9e; stroke-dasharray: 3 3 } .arrow { stroke: #3f51b5; stroke-width: 1.4; marker-end: url(#tip) }
</style>
<marker id="tip" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0L8 4L0 8z" fill="#3f51b5"/></marker>"""


class Fault(Exception):
    pass


def text(x, y, words, kind="plain"):
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="middle" class="{kind}">{escape(words)}</text>'


def box(x, y, width, height, kind):
    return f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="4" class="{kind}"/>'


def arrow(x1, y1, x2, y2):
    return f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" class="arrow"/>'


def boxed(x, y, width, words, kind, code=""):
    """A box with wrapped words: its parts, and where it ends."""
    lines = textwrap.wrap(words, max(4, int((width - 8) / CHAR)), break_long_words=False)
    height = len(lines) * LINE + 10
    return [box(x, y, width, height, kind)] + [
        text(x + width / 2, y + 5 + LINE * (i + 0.75), line, code) for i, line in enumerate(lines)], y + height


def layers(lines):
    sided = any(key == "side" for _, key, _ in lines)
    made, y, right = [], 34, WIDTH - MARGIN - (116 if sided else 0)
    for number, key, words in lines:
        cells = [cell.strip() for cell in words.split("|")]
        if key == "side" and len(cells) == 2:
            x, top = right + 16, 34
            made += [box(x, top, 100, y - top - 8, "side")]
            parts, _ = boxed(x, top + 6, 100, cells[0], "side")
            made += parts[1:] + boxed(x, y + 24, 100, cells[1], "note")[0]
            made.append(f'<path d="M{x + 50} {y - 8}V{y + 14}H{right + 2}" fill="none" class="arrow"/>')
        elif key == "row" and all(cells):
            for begin in range(0, len(cells), 4):
                part = cells[begin:begin + 4]
                each, ends = (right - MARGIN - 6 * (len(part) - 1)) / len(part), []
                for i, cell in enumerate(part):
                    parts, end = boxed(MARGIN + i * (each + 6), y, each, cell, "box", "code")
                    made, ends = made + parts, [*ends, end]
                y = max(ends) + 6
            y += 6
        else:
            raise Fault(f"line {number}: neither a row nor a side")
    return made, y


def lanes(lines):
    names = [name.strip() for name in lines[0][2].split("|")]
    each = (WIDTH - 2 * MARGIN) / len(names)
    at = {name: MARGIN + each * (i + 0.5) for i, name in enumerate(names)}
    made, y = [], 34
    heads = [boxed(at[name] - each / 2 + 3, y, each - 6, name, "box", "head") for name in names]
    y, top = max(end for _, end in heads), min(end for _, end in heads)
    for number, key, words in lines[1:]:
        if key == "---":
            y += 26
            made.append(f'<line x1="{MARGIN}" y1="{y}" x2="{WIDTH - MARGIN}" y2="{y}" class="line"/>')
            made.append(text(WIDTH / 2, y - 5, words))
            continue
        ends = [name.strip() for name in key.split("->")]
        if not set(ends) <= set(names) or len(ends) > 2 or not words:
            raise Fault(f"line {number}: {key} is no lane, or has nothing to say")
        xs = [at[name] for name in ends]
        if len(xs) == 2:
            middle = sum(xs) / 2
            told = textwrap.wrap(words, 52)
            y += 8 + LINE * len(told)
            for i, line in enumerate(told):
                half = len(line) * CHAR / 2
                x = min(max(middle, MARGIN + half), WIDTH - MARGIN - half)
                low = y - LINE * (len(told) - 1 - i)
                made.append(box(x - half, low - LINE - 1, 2 * half, LINE, "free"))
                made.append(text(x, low - 4, line))
            y += 3
            made.append(arrow(xs[0], y, xs[1], y))
        else:
            width = 190
            x = min(max(xs[0] - width / 2, MARGIN), WIDTH - MARGIN - width)
            parts, y = boxed(x, y + 9, width, words, "note")
            made += parts
    down = [f'<line x1="{x:.0f}" y1="{top}" x2="{x:.0f}" y2="{y + 10}" class="line"/>' for x in at.values()]
    return [*down, *(part for parts, _ in heads for part in parts), *made], y + 20


def bars(lines):
    made, y, longest = [], 34, max((int(words.split("|")[1]) for _, key, words in lines
                                    if key == "bar" and re.fullmatch(r"[^|]+\| *\d+", words)), default=0)
    for number, key, words in lines:
        match = re.fullmatch(r"([^|]+?) *\| *(\d+)", words)
        if key == "bar" and match and longest:
            length = max(1, 230 * int(match[2]) / longest)
            made += [f'<text x="118" y="{y + 12}" text-anchor="end">{escape(match[1])}</text>',
                     box(126, y, length, 15, "box"),
                     f'<text x="{132 + length:.0f}" y="{y + 12}">{int(match[2]):,}</text>']
            y += 19
        elif key == "note" and words:
            for line in textwrap.wrap(words, 64):
                y += LINE
                made.append(text(WIDTH / 2, y + 6, line))
        else:
            raise Fault(f"line {number}: neither a bar nor a note")
    return made, y + 14


def drawn(source):
    """The picture of a text."""
    lines = []
    for number, line in enumerate(source.splitlines(), 1):
        if line.strip():
            match = re.match(r"(---)\s+(.+)|([^:]+):\s*(.*)", line)
            if not match:
                raise Fault(f"line {number}: neither a name nor a dash: {line}")
            lines.append((number, match[1] or match[3].strip(), (match[2] or match[4] or "").strip()))
    if not lines or lines[0][1] != "alt" or len(lines) < 2:
        raise Fault("line 1: a text begins with `alt:` and has more lines")
    parts, height = {"lanes": lanes, "bar": bars}.get(lines[1][1], layers)(lines[1:])
    alt = escape(lines[0][2])
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height:.0f}" role="img">',
                      f"<title>{alt}</title>", STYLE, box(0, 0, WIDTH, height, "free"),
                      text(WIDTH / 2, 22, lines[0][2], "head"), *parts, "</svg>", ""])


BROKEN = ["", "row: a", "alt: a", "alt: a\nlanes: a | b\na -> c: x", "alt: a\nlanes: a | b\na -> b:",
          "alt: a\nrow: a | ", "alt: a\nbar: a", "alt: a\nbar: a | b", "alt: a\nbar: a | 1\nrow: a",
          "alt: a\ncolumn: a", "alt: a\nlanes: a\nno more"]


def undetected():
    for broken in BROKEN:
        try:
            drawn(broken)
            yield f"not refused: {broken!r}"
        except Fault:
            pass


def main():
    found = list(undetected()) if "--faults" in sys.argv else []
    names = set()
    for path in sorted(HERE.glob("*.txt")) if not found and "--faults" not in sys.argv else []:
        try:
            made, to = drawn(path.read_text()), OUT / f"{path.stem}.svg"
        except Fault as fault:
            sys.exit(f"{path.name}: {fault}")
        names.add(to)
        if "--check" not in sys.argv:
            to.write_text(made)
        elif not to.exists() or to.read_text() != made:
            found.append(f"{to.name} is not what {path.name} says: run docs/book/pictures/draw.py")
    if "--check" in sys.argv:
        found += [f"{path.name} has no text" for path in sorted(set(OUT.glob("*.svg")) - names)]
        found += ["there are no pictures"] * (not names)
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
