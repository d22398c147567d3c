"""Results as JSON, tables and figures; those of several machines stand side by side."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .environments import OURS, PEERS
from .works import WORKS

Run = dict[str, Any]  # what one run of the command wrote
Result = dict[str, Any]


def processor() -> str:
    """Its name, as far as the system tells."""
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def machine() -> dict[str, Any]:
    """What the times belong to."""
    return {
        "processor": processor(),
        "processors": os.cpu_count(),
        "system": platform.platform(terse=True),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def now() -> str:
    """The date and time, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _columns(run: Run) -> list[tuple[int, str]]:
    return sorted({(result["threads"], result["precision"]) for result in run["results"]})


def _cell(result: Result | None) -> str:
    if result is None:
        return ""
    if result["status"] != "ok":
        return "–" if result["status"] == "missing" else "WRONG"
    ratio = f" ({result['ratio']:.3g} ×)" if "ratio" in result and result["peer"] != OURS else ""
    return f"{result['value']:.3g}{ratio}"


def _table(heads: list[str], rows: Iterable[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (heads, ["---"] * len(heads), *rows)]


def markdown(runs: list[Run]) -> str:
    """A summary, a table for each row, and what is missing."""
    lines = []
    for number, run in enumerate(runs, 1):
        at = run["machine"]
        lines.append(f"- machine {number}: {at['processor']}, {at['processors']} cores, {at['system']}, {run['date']}")
        for name, answer in run["versions"].items():
            versions = ", ".join(f"{package} {version}" for package, version in answer["versions"].items())
            lines.append(f"    - {name}: {versions or 'standard library'}")
    lines += ["", "Times, and in brackets the time of the peer / the time of langevin_fast. –: missing, see below.", ""]
    found = {
        (i, result["row"], result["peer"], result["threads"], result["precision"]): result
        for i, run in enumerate(runs)
        for result in run["results"]
    }
    columns = [(i, threads, precision) for i, run in enumerate(runs) for threads, precision in _columns(run)]
    heads = [
        f"{f'machine {i + 1}, ' if len(runs) > 1 else ''}{precision}, {threads} thread{'s' if threads > 1 else ''}"
        for i, threads, precision in columns
    ]
    seen = {result["row"] for run in runs for result in run["results"]}
    rows = [row for row in WORKS if row in seen]
    shown = {result["peer"] for run in runs for result in run["results"]}
    peers = [peer for peer in PEERS if peer in shown]

    lines += ["## The fastest peer of each row", ""]
    table = []
    for row in rows:
        cells = []
        for i, threads, precision in columns:
            others = [found.get((i, row, peer, threads, precision)) for peer in peers if peer != OURS]
            ranked = sorted((r for r in others if r and "ratio" in r), key=lambda r: r["ratio"])
            cells.append(f"{ranked[0]['ratio']:.3g} × ({ranked[0]['peer']})" if ranked else "")
        table.append([WORKS[row].words, *cells])
    lines += _table(["row", *heads], table)

    reasons: dict[tuple[str, str], list[str]] = {}
    for row in rows:
        lines += ["", f"## {WORKS[row].words}", "", f"{WORKS[row].per}:", ""]
        table = []
        for peer in peers:
            results = [found.get((i, row, peer, threads, precision)) for i, threads, precision in columns]
            if any(result is not None and result["status"] != "missing" for result in results):
                table.append([peer, *(_cell(result) for result in results)])
            for (i, threads, precision), result in zip(columns, results, strict=True):
                if result is not None and result["status"] != "ok":
                    key = (peer, f"{result['status'].upper()}: {result['reason']}")
                    at_row = reasons.setdefault(key, [])
                    text = row if result["status"] == "missing" else f"{row} (machine {i + 1}, {precision}, {threads})"
                    if text not in at_row:
                        at_row.append(text)
        lines += _table(["peer", *heads], table)
    if reasons:
        lines += ["", "## Missing or wrong", ""]
        lines += _table(["peer", "reason", "rows"], ([*key, ", ".join(at)] for key, at in reasons.items()))
    return "\n".join(lines).replace("|  |", "| |") + "\n"


def figures(runs: list[Run], folder: Path) -> list[Path]:
    """A figure per machine, precision and number of threads; none without Matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    markers, written = "osD^v<>pP*XhH8d", []
    for i, run in enumerate(runs, 1):
        for threads, precision in _columns(run):
            results = [
                result
                for result in run["results"]
                if (result["threads"], result["precision"]) == (threads, precision) and "ratio" in result
            ]
            rows = [row for row in WORKS if any(result["row"] == row for result in results)]
            if not rows:
                continue
            figure = Figure(figsize=(10.0, 1.5 + 0.42 * len(rows)), layout="constrained")
            axes = figure.add_subplot()
            for k, peer in enumerate(peer for peer in PEERS if peer != OURS):
                points = [(r["ratio"], rows.index(r["row"])) for r in results if r["peer"] == peer]
                if points:
                    x, y = zip(*points, strict=True)
                    axes.plot(x, y, markers[k % len(markers)], color=f"C{k % 10}", label=peer, alpha=0.8)
            axes.axvline(1.0, color="black", linewidth=1.0)
            axes.set_xscale("log")
            axes.set_yticks(range(len(rows)), [WORKS[row].words for row in rows])
            axes.invert_yaxis()
            axes.grid(axis="x", alpha=0.3)
            axes.set_xlabel("time of the peer / time of langevin_fast")
            axes.set_title(f"{run['machine']['processor']}: {precision}, {threads} thread{'s' if threads > 1 else ''}")
            figure.legend(loc="outside right upper", fontsize="small")
            path = folder / f"peers-{i}-{precision}-{threads}.png"
            figure.savefig(path, dpi=120)
            written.append(path)
    return written
