#!/usr/bin/env python3
"""Prints medians and spread of each figure in what a benchmark printed again and again, before a change and after it.

usage: compare.py BEFORE... -- AFTER...

Each file is what one run printed: lines of figures in columns, aligned to the right, below a line of headings. Lines are told
apart by their place, figures by their heading. A figure that is the same in all runs names its line: a size, a way. The ratio is
of the medians, after to before; the spread is the lowest and the highest of the runs. "apart": no run before reaches into the
runs after.
"""

import re
import statistics
import sys

NUMBER = re.compile(r"^[-+]?(?:\d[\d,]*)(?:\.\d+)?")


def main():
    arguments = sys.argv[1:]
    if arguments.count("--") != 1:
        sys.exit(__doc__.strip())
    split = arguments.index("--")
    before, after = arguments[:split], arguments[split + 1 :]
    if not before or not after:
        sys.exit(__doc__.strip())
    print(compared([figures(read(file)) for file in before], [figures(read(file)) for file in after]))


def read(file):
    with open(file, encoding="utf-8") as text:
        return text.read().splitlines()


def figures(lines):
    """The cells of each line below a heading: {(line, column): cell}, where a column is a heading or a number."""
    cells, heading, place = {}, "", 0
    for line in lines:
        found = list(re.finditer(r"\S+", line))
        if not found:
            continue
        numbers = [match for match in found if NUMBER.match(match.group())]
        if not numbers:
            heading = line
            continue
        if len(found) < 2:
            continue
        place += 1
        start = 0
        for index, match in enumerate(found):
            name = heading[start : match.end()].strip()
            start = match.end()
            cells[(place, index, name or f"#{index + 1}")] = match.group()
    return cells


def number(cell):
    match = NUMBER.match(cell)
    return float(match.group().replace(",", "")) if match else None


def compared(before, after):
    runs = before + after
    keys = [key for key in runs[0] if all(key in run for run in runs)]
    varying = [key for key in keys if len({run[key] for run in runs}) > 1]
    rows = []
    for place in sorted({key[0] for key in varying}):
        names = [runs[0][key] for key in keys if key[0] == place and key not in varying]
        for key in (key for key in varying if key[0] == place):
            old, new = [[number(run[key]) for run in side] for side in (before, after)]
            if None not in old + new:
                rows.append([" ".join(names) or f"line {place}", key[2], *row(old, new)])
    missing = sum(key not in keys for run in runs for key in run)
    text = table(["LINE", "FIGURE", "BEFORE", "SPREAD", "AFTER", "SPREAD", "RATIO", ""], rows)
    if missing:
        text += f"\n{missing} cells are not in every run, and are left out"
    return text


def row(old, new):
    apart = max(old) < min(new) or max(new) < min(old)
    ratio = statistics.median(new) / statistics.median(old) if statistics.median(old) else None
    return [
        shown(statistics.median(old)),
        f"{shown(min(old))} to {shown(max(old))}",
        shown(statistics.median(new)),
        f"{shown(min(new))} to {shown(max(new))}",
        "-" if ratio is None else f"{ratio:.2f}",
        "apart" if apart else "",
    ]


def shown(value):
    return f"{value:,.0f}" if abs(value) >= 1000 or value == int(value) else f"{value:.4g}"


def table(heading, rows):
    lines = [heading] + rows
    widths = [max(len(line[column]) for line in lines) for column in range(len(heading))]
    left = {0, 1, len(heading) - 1}
    cell = lambda text, column: text.ljust(widths[column]) if column in left else text.rjust(widths[column])
    return "\n".join("  ".join(cell(text, column) for column, text in enumerate(line)).rstrip() for line in lines)


if __name__ == "__main__":
    main()
