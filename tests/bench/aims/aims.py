#!/usr/bin/env python3
"""Prints the figures that have an aim beside it, from what benchmarks have printed.

usage: aims.py FOLDER BENCH...

FOLDER has a file for each benchmark, named as it is: lines of figures in columns, aligned to the right, below a line of headings.
A figure whose benchmark is missing, or has not measured it, is left out; its work is named at the end.
"""

import pathlib
import re
import sys

NUMBER = re.compile(r"^[-+]?\d[\d,]*(?:\.\d+)?$")


def lines(text):
    """The lines of figures: {heading: cell}, where a heading ends where its cell does; "line" is the whole."""
    found, heading = [], ""
    for line in text.splitlines():
        cells = list(re.finditer(r"\S+", line))
        if not any(NUMBER.match(cell.group()) for cell in cells):
            heading = line if len(cells) > 2 else heading
            continue
        row, start = {"line": line}, 0
        for cell in cells:
            row.setdefault(heading[start : cell.end()].strip(), cell.group())
            start = cell.end()
        found.append(row)
    return found


def number(cell):
    return float(cell.replace(",", "")) if cell and NUMBER.match(cell) else None


class Results:
    def __init__(self, folder, benches):
        self.lines = {}
        for bench in benches:
            file = folder / bench
            self.lines[bench] = lines(file.read_text("utf-8")) if file.exists() else []

    def get(self, bench, figure, *parts, **where):
        """The figure of the last line that has these parts, and these numbers under these headings."""
        for row in reversed(self.lines.get(bench, [])):
            has_parts = all(part in row["line"] for part in parts)
            same = all(number(row.get(key)) == value for key, value in where.items())
            if has_parts and same and number(row.get(figure)) is not None:
                return number(row[figure])
        return None


def ratio(one, other):
    return one / other if one is not None and other else None


def figures(results):
    """(work, figure, found, aim, whether less is better)."""
    seed = lambda rows, way, figure: results.get("seed", figure, way, rows=rows)
    guide = lambda way, figure: results.get("guide", figure, way, rows=100_000)
    worker, script, download = "fast load", "SDK's way", "download"
    work = "1,000 rows, one store"
    yield work, "CPU s", seed(1_000, worker, "CPU s"), 0.012
    work = "100,000 rows"
    yield work, "time, to the bare download", ratio(seed(100_000, worker, "seed s"), seed(100_000, download, "seed s")), 1.1
    yield work, "the same at the service's pace", seed(100_000, "paced", "/download"), 1.1
    yield work, "CPU, to the guide's script", ratio(guide("worker", "CPU s"), guide("guide", "CPU s")), 0.2
    work = "500,000 rows"
    yield work, "time outside the network, to VACUUM INTO", seed(500_000, worker, "multiple"), 3
    yield work, "CPU, to a loop as an SDK's", ratio(seed(500_000, worker, "CPU s"), seed(500_000, script, "CPU s")), 0.2
    work = "100 changed rows in 500,000"
    yield work, "time, to every row", results.get("reuse", "ratio", "   from its base"), 0.25
    changed = lambda figure: results.get("reuse", figure, "paced, from its base")
    every = lambda figure: results.get("reuse", figure, "paced, all rows")
    yield work, "the same at the service's pace", ratio(changed("s"), every("s")), 0.25
    yield work, "bytes, to every row", ratio(changed("MiB"), every("MiB")), 0.05
    work = "the same rows in all stores"
    yield work, "operations, to the distinct ones", results.get("shared_buckets", "operations / distinct", "shared"), 1.1
    work = "nothing shared: bucket cache on, to off"
    for name in ["own buckets", "own, not by id"]:
        yield work, f"time, {name}", results.get("shared_buckets", "time", name), 1.0
        yield work, f"CPU, {name}", results.get("shared_buckets", "CPU", name), 1.0
    work = "a collector of traces and metrics"
    yield work, "time, to none", results.get("telemetry", "ratio", "takes"), 1.05
    for catalog in ["postgres", "sqlite"]:
        for sweep in ["first", "later"]:
            found = lambda figure: results.get("sweep", figure, catalog, sweep, stores=100_000)
            work = f"100,000 stores, {catalog}, {sweep} sweep"
            yield work, "s to list and publish", found("publish s"), 60
            yield work, "events/s", found("events/s"), -3_000
            for when, name in [("pub.", "publishing"), ("ev.", "events")]:
                yield work, f"p99 ms of /database, {name}", found(f"p99 ms {when}"), 50


def main():
    if len(sys.argv) < 3:
        sys.exit(__doc__.strip())
    results = Results(pathlib.Path(sys.argv[1]), sys.argv[2:])
    rows, missing = [["WORK", "FIGURE", "FOUND", "AIM", ""]], []
    for work, figure, found, aim in figures(results):
        if found is None:
            missing.append(work)
            continue
        # Two digits: a figure that is above its aim by less is no miss that a benchmark could show.
        is_met = found >= -aim if aim < 0 else round(found, 2 if aim >= 0.1 else 4) <= aim
        within = f"at least {-aim:,g}" if aim < 0 else f"at most {aim:,g}"
        rows.append([work, figure, f"{found:,.4g}", within, "met" if is_met else "missed"])
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    before = None
    for row in rows:
        cells = ["" if row[0] == before else row[0], *row[1:]]
        before = row[0]
        left = {0, 1, 3, 4}
        print("  ".join(c.ljust(w) if i in left else c.rjust(w) for i, (c, w) in enumerate(zip(cells, widths))).rstrip())
    if missing:
        print("not measured: " + "; ".join(dict.fromkeys(missing)))


if __name__ == "__main__":
    main()
