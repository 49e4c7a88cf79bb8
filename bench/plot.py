"""Draws the picture of a result: a small chart for each figure, each with its own scale.

`python -m bench.plot RESULT.json PICTURE.png` draws a saved result. Run it as a separate process, because matplotlib
leaves font files open.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Sheet

from bench.report import Line, Table, from_json, number

COLUMNS = 4
LOG_FROM = 30.0
"""The scale of a chart is logarithmic if its largest value is at least this many times its smallest."""

_PATCH = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}
"""The white box behind a label. It keeps the label readable if the line of the goal crosses it."""

COLOURS = {
    "medusa": "#1b6ca8",
    "two-workers": "#7fb2d9",
    "one-door": "#4d9a9a",
    "two-doors": "#7fb2d9",
    "ws": "#d98032",
    "haproxy": "#d98032",
    "watershed": "#9a9a9a",
    "websockets": "#c4b04a",
    "socat": "#6f9f62",
    "c-copy": "#a9c79f",
    "ssh": "#8e79b0",
    "ssh-jump": "#b9a9d3",
}


def draw(tables: Sequence[Table], path: Path) -> None:
    """Draws the tables into a PNG file at `path`."""
    panels = [(table, line) for table in tables for line in table.lines]
    height = math.ceil(len(panels) / COLUMNS)
    sheet = Sheet(figsize=(4.4 * COLUMNS, 2.0 * height + 0.6), layout="constrained")
    FigureCanvasAgg(sheet)
    axes = list(sheet.subplots(height, COLUMNS, squeeze=False).flat)
    for axis, (table, line) in zip(axes, panels, strict=False):
        _panel(axis, table, line)
    for axis in axes[len(panels) :]:
        axis.set_visible(False)
    yardsticks = ", ".join(dict.fromkeys(table.yardstick for table in tables))
    footnote = f"medians; in brackets the ratio to {yardsticks}; dashed: the goal"
    sheet.supxlabel(footnote, fontsize=9, color="#555555")
    sheet.savefig(path, dpi=110)


def _panel(axis: Axes, table: Table, line: Line) -> None:
    medians = [line.median(name) for name in table.relays]
    colours = [COLOURS.get(name, "#9a9a9a") for name in table.relays]
    bars = axis.barh(table.relays, [median or 0.0 for median in medians], color=colours, height=0.72)
    axis.bar_label(bars, [_label(table, line, name) for name in table.relays], padding=3, fontsize=8, bbox=_PATCH)
    axis.set_ylim(max(len(medians), 4) - 0.5, -0.6)
    goal = table.goal(line)
    scale = _scale(axis, [*(median for median in medians if median), *([goal] if goal else [])])
    if goal is not None:
        axis.axvline(goal, color="#2f7d32", linestyle="--", linewidth=1, zorder=2.5)
    better = "" if line.figure.higher_is_better else "less is better"
    below = ", ".join(filter(None, [line.figure.unit, better, scale]))
    axis.set_title(f"{line.figure.title}\n{below}".strip(), fontsize=9, loc="left")


def _label(table: Table, line: Line, name: str) -> str:
    median = line.median(name)
    if median is None:
        return "not measured"
    ratio = None if name == table.yardstick else line.ratio(name, table.yardstick)
    return number(median) + ("" if ratio is None else f"  ({number(ratio)} x)")


def _scale(axis: Axes, shown: list[float]) -> str:
    """Sets the scale of a chart, with room for the labels. Returns a note for the title; empty if it is linear."""
    axis.tick_params(labelsize=8)
    axis.spines[["top", "right"]].set_visible(False)
    if not shown:
        axis.set_xticks([])
        return ""
    if max(shown) < LOG_FROM * min(shown):
        axis.set_xlim(0, max(shown) * 1.45)
        return ""
    axis.set_xscale("log")
    axis.set_xlim(min(shown) / 2, max(shown) * (max(shown) / min(shown)) ** 0.6)
    return "log scale"


if __name__ == "__main__":
    draw([from_json(table) for table in json.loads(Path(sys.argv[1]).read_text())["tables"]], Path(sys.argv[2]))
