#!/usr/bin/env python3
"""Draws a trace as Jaeger's page shows it.

usage: draw.py ANSWER.json PICTURE.svg

ANSWER.json is what Jaeger answers to /api/traces; the first trace of it is drawn.
"""

import json
import sys
from html import escape

ROW, TOP, NAMES, WIDTH, MARGIN = 22, 66, 360, 1180, 16
COLOURS = ["#17a2a2", "#7b5cd6", "#c98a1b", "#3f7fd0"]
FAILED = "#d33c3c"
MARKED_EVENTS = {"retry", "resume", "parked"}


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.strip())
    with open(sys.argv[1], encoding="utf-8") as answer:
        trace = json.load(answer)["data"][0]
    with open(sys.argv[2], "w", encoding="utf-8") as picture:
        picture.write(draw(trace))


def draw(trace):
    spans = trace["spans"]
    services = {id: process["serviceName"] for id, process in trace["processes"].items()}
    names = sorted(set(services.values()))
    colour = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    start = min(span["startTime"] for span in spans)
    length = max(span["startTime"] + span["duration"] for span in spans) - start
    height = TOP + ROW * len(spans) + MARGIN
    scale = (WIDTH - NAMES - 2 * MARGIN) / length

    def x(time):
        return NAMES + MARGIN + (time - start) * scale

    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
        ' font-family="system-ui, sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(MARGIN, 26, headline(trace, length), weight="bold"),
    ]
    at = MARGIN
    for name in names:
        lines.append(f'<rect x="{at}" y="38" width="12" height="12" rx="2" fill="{colour[name]}"/>')
        lines.append(text(at + 18, 49, name))
        at += 40 + 8 * len(name)
    for part in range(5):
        time = start + length * part / 4
        lines.append(f'<line x1="{x(time):.1f}" x2="{x(time):.1f}" y1="{TOP - 6}" y2="{height - MARGIN}" stroke="#e4e4e4"/>')
        anchor = "end" if part == 4 else "start"
        lines.append(text(x(time), TOP - 10, duration(length * part / 4), fill="#777777", anchor=anchor))
    for row, (depth, span) in enumerate(in_order(spans)):
        y = TOP + row * ROW
        failed = any(tag["key"] == "error" and tag["value"] for tag in span["tags"])
        if row % 2 == 0:
            lines.append(f'<rect x="0" y="{y}" width="{WIDTH}" height="{ROW}" fill="#000000" opacity="0.03"/>')
        indent = MARGIN + 14 * depth
        lines.append(f'<rect x="{indent}" y="{y + 4}" width="4" height="{ROW - 8}" fill="{colour[services[span["processID"]]]}"/>')
        lines.append(text(indent + 10, y + 15, span["operationName"], fill=FAILED if failed else "#222222"))
        begin, width = x(span["startTime"]), max(span["duration"] * scale, 2)
        fill = FAILED if failed else colour[services[span["processID"]]]
        lines.append(f'<rect x="{begin:.1f}" y="{y + 6}" width="{width:.1f}" height="{ROW - 12}" rx="2" fill="{fill}"/>')
        note = ", ".join([duration(span["duration"])] + marked_events(span))
        if begin + width < WIDTH - 190:
            lines.append(text(begin + width + 6, y + 15, note, fill="#555555"))
        else:
            lines.append(text(begin - 6, y + 15, note, fill="#555555", anchor="end"))
    return "\n".join(lines + ["</svg>", ""])


def headline(trace, length):
    tags = {tag["key"]: tag["value"] for span in trace["spans"] for tag in span["tags"]}
    return f'{tags.get("seedbed.store_id", "")}  ·  trace {trace["traceID"]}  ·  {len(trace["spans"])} spans  ·  {duration(length)}'


def in_order(spans):
    """Each span below its parent, with its depth; by time."""
    parents = {
        span["spanID"]: next((r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF"), None)
        for span in spans
    }
    children = {}
    for span in sorted(spans, key=lambda span: span["startTime"]):
        parent = parents[span["spanID"]]
        children.setdefault(parent if parent in parents else None, []).append(span)

    def below(parent, depth):
        for span in children.get(parent, []):
            yield depth, span
            yield from below(span["spanID"], depth + 1)

    return list(below(None, 0))


def marked_events(span):
    names = [field["value"] for log in span["logs"] for field in log["fields"] if field["key"] == "event"]
    return [name for name in names if name in MARKED_EVENTS]


def duration(micros):
    if micros >= 1_000_000:
        return f"{micros / 1_000_000:.2f} s"
    return f"{micros / 1000:.1f} ms" if micros < 10_000 else f"{micros / 1000:.0f} ms"


def text(x, y, content, fill="#222222", weight="normal", anchor="start"):
    return f'<text x="{x:.1f}" y="{y}" fill="{fill}" font-weight="{weight}" text-anchor="{anchor}">{escape(content)}</text>'


if __name__ == "__main__":
    main()
