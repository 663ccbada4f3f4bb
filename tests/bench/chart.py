# SPDX-License-Identifier: MIT OR Apache-2.0
"""The figures as an SVG: a group of bars for each row that has a peer, on a scale of its own; the
rows about the root form are left to the table."""

from xml.sax.saxutils import escape

COLOURS = {"nart": "#1b6ca8", "nexus": "#c2703d", "tokio": "#7a9a3a", "libuv": "#8a6fae"}
BY_HAND = "#8c8c8c"  # floor, epoll, cascade, eventfd, idle
WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 840, 200, 140, 15, 12, 72


def svg(results, machine):
    groups = [r for r in results
              if r["nart"] is not None and r["peers"] and not r["row"].endswith("_root")]
    body, y = [], TOP
    for r in groups:
        bars = [("nart", r["nart"])] + list(r["peers"].items())
        body += group(r, bars, y)
        y += len(bars) * BAR + GAP
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 8}" '
        f'font-family="sans-serif" font-size="11" fill="#222">',
        f'<rect width="{WIDTH}" height="{y + 8}" fill="#ffffff"/>',
        '<text x="16" y="24" font-size="16" font-weight="bold">nart and its peers</text>',
        '<text x="16" y="42" fill="#555">Shorter is better; each row has its own scale. '
        'In brackets: peer / nart.</text>',
        f'<text x="16" y="56" fill="#555">{escape(machine)}</text>',
        *body, "</svg>\n"])


def group(row, bars, y):
    longest = max(value for _, value in bars) or 1
    out = [f'<text x="16" y="{y + 11}" font-weight="bold">{escape(row["row"])}</text>']
    for i, (who, value) in enumerate(bars):
        at = y + i * BAR
        width = max(value / longest * (WIDTH - LEFT - RIGHT), 1)
        text = f'{value:,.1f} {row["unit"]}'
        if who in row["ratio"]:
            text += f' ({row["ratio"][who]:.1f}x)'
        out += [f'<text x="{LEFT - 6}" y="{at + 11}" text-anchor="end">{escape(who)}</text>',
                f'<rect x="{LEFT}" y="{at + 1}" width="{width:.1f}" height="{BAR - 3}" '
                f'fill="{COLOURS.get(who, BY_HAND)}"/>',
                f'<text x="{LEFT + width + 5:.1f}" y="{at + 11}">{escape(text)}</text>']
    return out
