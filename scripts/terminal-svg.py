#!/usr/bin/env python3
"""Turns coloured terminal output into an SVG picture, for the README. Needs the standard library alone.

    CLICOLOR_FORCE=1 perrin run models/diabetes.toml | \\
        scripts/terminal-svg.py "$ perrin run models/diabetes.toml" docs/terminal.svg
"""

import re
import sys
import unicodedata
from xml.sax.saxutils import escape

WIDTH, HEIGHT, MARGIN = 8.43, 19.0, 16.0
COLOURS = {"31": "#f47067", "32": "#8ddb8c", "33": "#eac55f", "36": "#76e3ea"}


def columns(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 0 if unicodedata.combining(c) else 1 for c in text)


def spans(line):
    """Pieces of one line with their codes."""
    codes = set()
    for i, part in enumerate(re.split(r"\x1b\[([0-9;]*)m", line)):
        if i % 2 == 0:
            if part:
                yield part, frozenset(codes)
            continue
        for code in part.split(";"):
            if code in ("", "0"):
                codes.clear()
            elif code == "22":
                codes -= {"1", "2"}
            elif code == "39":
                codes -= set(COLOURS)
            else:
                codes.add(code)


def style(codes):
    out = []
    colour = next((COLOURS[c] for c in codes if c in COLOURS), None)
    if colour:
        out.append(f'fill="{colour}"')
    elif "2" in codes:
        out.append('fill="#768390"')
    if "1" in codes:
        out.append('font-weight="bold"')
    return " ".join(out)


def main(command, target):
    lines = [f"\x1b[1m{command}\x1b[0m"] + sys.stdin.read().rstrip("\n").split("\n")
    widest = max(columns(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in lines)
    width, height = widest * WIDTH + 2 * MARGIN, len(lines) * HEIGHT + 2 * MARGIN
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}">',
        f'<rect width="100%" height="100%" rx="8" fill="#1c2128"/>',
        '<g font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" '
        'font-size="14" fill="#cdd9e5" xml:space="preserve">',
    ]
    for row, line in enumerate(lines):
        y, column = MARGIN + row * HEIGHT + 14, 0
        for text, codes in spans(line):
            # Columns of a table are set each at its place, so that they line up in any font.
            for piece in re.split(r"( {2,})", text):
                bare = piece.strip(" ")
                if bare:
                    x = MARGIN + (column + len(piece) - len(piece.lstrip(" "))) * WIDTH
                    length = columns(bare) * WIDTH
                    out.append(
                        f'<text x="{x:.1f}" y="{y:.1f}" textLength="{length:.1f}" {style(codes)}>{escape(bare)}</text>'
                    )
                column += columns(piece)
    out += ["</g>", "</svg>"]
    with open(target, "w", encoding="utf-8") as file:
        file.write("\n".join(out) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
