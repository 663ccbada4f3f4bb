# SPDX-License-Identifier: MIT OR Apache-2.0
"""The figures as an SVG: a group of bars for each row with a peer, each on its own scale. Rows of the
root form appear in the table only; the README shows eight rows."""

from xml.sax.saxutils import escape

COLOURS = {"nart": "#1b6ca8", "nexus": "#c2703d", "tokio": "#7a9a3a", "libuv": "#8a6fae"}
BY_HAND = "#8c8c8c"  # floor, epoll, cascade, eventfd, idle, quiet
README_ROWS = {
    "spawn_join": "spawn a task and join it",
    "local_pingpong": "a value to another task and back",
    "spsc_stream": "a value from another thread",
    "mpsc_stream": "a value from any of many threads",
    "cancel_1000": "cancel a task with its token",
    "timer_cancel": "set a deadline and cancel it",
    "tcp_echo": "TCP echo over loopback",
    "bridge_batch": "spawn a Rust future on tokio and await it",
}
WIDTH, LEFT, RIGHT, BAR, GAP, TOP = 840, 200, 140, 15, 12, 72


def readme_svg(results, machine):
    """Eight rows by subject, with libraries only."""
    chosen = [r for r in results if r["row"] in README_ROWS]
    peers = [{p: v for p, v in r["peers"].items() if p in COLOURS} for r in chosen]
    rows = [{**r, "row": README_ROWS[r["row"]], "peers": p} for r, p in zip(chosen, peers)]
    return svg(rows, machine, left=340)


def svg(results, machine, left=LEFT):
    groups = [r for r in results
              if r["nart"] is not None and r["peers"] and not r["row"].endswith("_root")]
    body, y = [], TOP
    for r in groups:
        bars = [("nart", r["nart"])] + list(r["peers"].items())
        body += group(r, bars, y, left)
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


def group(row, bars, y, left):
    longest = max(value for _, value in bars) or 1
    out = [f'<text x="16" y="{y + 11}" font-weight="bold">{escape(row["row"])}</text>']
    for i, (who, value) in enumerate(bars):
        at = y + i * BAR
        width = max(value / longest * (WIDTH - left - RIGHT), 1)
        text = f'{value:,.1f} {row["unit"]}'
        if who in row["ratio"]:
            text += f' ({row["ratio"][who]:.1f}x)'
        out += [f'<text x="{left - 6}" y="{at + 11}" text-anchor="end">{escape(who)}</text>',
                f'<rect x="{left}" y="{at + 1}" width="{width:.1f}" height="{BAR - 3}" '
                f'fill="{COLOURS.get(who, BY_HAND)}"/>',
                f'<text x="{left + width + 5:.1f}" y="{at + 11}">{escape(text)}</text>']
    return out
