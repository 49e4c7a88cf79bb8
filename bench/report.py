"""Makes tables of medians, ratios and goals, as text and as Markdown."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.row import Figure, Goal


@dataclass(frozen=True)
class Line:
    """A line of a table: one figure, and the samples of every relay.

    Attributes:
        samples: for each relay, one value for each run; None if the measurement failed.
    """

    figure: Figure
    samples: dict[str, list[float | None]]

    def median(self, relay: str) -> float | None:
        """Returns the median of the samples of a relay, or None if it has none."""
        return _median(self.samples.get(relay, []))

    def ratio(self, relay: str, yardstick: str) -> float | None:
        """Returns the median of the ratios of a relay to the relay `yardstick`, or None if there is none.

        Each ratio is of two samples of the same run, so that a drift between runs cancels out.
        """
        pairs = zip(self.samples.get(relay, []), self.samples.get(yardstick, []), strict=False)
        return _median([None if ours is None or not theirs else ours / theirs for ours, theirs in pairs])


@dataclass(frozen=True)
class Table:
    """A table of figures that were measured with the same relays.

    Attributes:
        yardstick: the relay with which the others are compared.
        subject: the relay that should reach the goals.
        relays: the names of all relays, in the order of their columns.
    """

    yardstick: str
    subject: str
    relays: list[str]
    lines: list[Line]

    def text(self) -> str:
        """Returns the table as text: for each relay its median and its ratio to the yardstick; then the goal."""
        head = ["", "unit", *(cell for name in self.relays for cell in self._heads(name)), "goal"]
        body = [
            [*_titles(line), *(cell for name in self.relays for cell in self._figures(line, name)), self._verdict(line)]
            for line in self.lines
        ]
        widths = [max(len(row[column]) for row in [head, *body]) for column in range(len(head))]
        return "\n".join(_aligned(row, widths) for row in [head, *body])

    def markdown(self) -> str:
        """Returns the table in Markdown, with the ratio in brackets after the median, and without the goals."""
        head = ["", "unit", *self.relays]
        body = [
            [*_titles(line), *(_bracketed(self._figures(line, name)) for name in self.relays)] for line in self.lines
        ]
        return "\n".join("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *body])

    def met(self, line: Line) -> bool | None:
        """Returns True if the subject reached the line's goal, False if it missed the goal.

        Returns None if the line has no goal or nothing was measured.
        """
        goal = line.figure.goal
        if goal is None:
            return None
        reached = line.median(self.subject) if goal.absolute else line.ratio(self.subject, self.yardstick)
        if reached is None:
            return None
        return reached >= goal.bound if line.figure.higher_is_better else reached <= goal.bound

    def goal(self, line: Line) -> float | None:
        """Returns the goal in the line's unit; None if there is no goal, or if the yardstick was not measured."""
        goal = line.figure.goal
        if goal is None:
            return None
        if goal.absolute:
            return goal.bound
        theirs = line.median(self.yardstick)
        return None if theirs is None else theirs * goal.bound

    def _heads(self, name: str) -> list[str]:
        return [name, f"/{self.yardstick}"] if self._rated(name) else [name]

    def _figures(self, line: Line, name: str) -> list[str]:
        median = number(line.median(name))
        return [median, number(line.ratio(name, self.yardstick))] if self._rated(name) else [median]

    def _rated(self, name: str) -> bool:
        return name != self.yardstick and self.yardstick in self.relays

    def _verdict(self, line: Line) -> str:
        goal = line.figure.goal
        if goal is None:
            return ""
        sign = ">=" if line.figure.higher_is_better else "<="
        scale = line.figure.unit if goal.absolute else f"x {self.yardstick}"
        outcome = {True: "met", False: "missed", None: "-"}[self.met(line)]
        return f"{sign} {goal.bound:.2g} {scale}".strip() + f": {outcome}"


def number(value: float | None) -> str:
    """Returns a number as text, `-` for None.

    It has no digits after the point from 100 on, one from 10 on, two from 0.1 on, and three below that.
    """
    if value is None:
        return "-"
    digits = next((digits for bound, digits in ((100, 0), (10, 1), (0.1, 2)) if abs(value) >= bound), 3)
    return f"{value:,.{digits}f}" if value else "0"


def _titles(line: Line) -> list[str]:
    return [line.figure.title + ("" if line.figure.higher_is_better else " v"), line.figure.unit]


def _bracketed(cells: list[str]) -> str:
    median, *ratio = cells
    return f"{median} ({ratio[0]})" if ratio and ratio != ["-"] else median


def from_json(record: dict[str, Any]) -> Table:
    """Returns the table that was saved as a JSON record. The record was made by `dataclasses.asdict`."""
    lines = [Line(_figure(line["figure"]), line["samples"]) for line in record["lines"]]
    return Table(record["yardstick"], record["subject"], record["relays"], lines)


def _figure(record: dict[str, Any]) -> Figure:
    goal = record["goal"]
    figure = Figure(**{**record, "path": tuple(record["path"]), "over": tuple(record["over"])})
    return dataclasses.replace(figure, goal=None if goal is None else Goal(**goal))


def _median(samples: Sequence[float | None]) -> float | None:
    known = [sample for sample in samples if sample is not None]
    return statistics.median(known) if known else None


def _aligned(row: list[str], widths: list[int]) -> str:
    cells = [
        cell.ljust(width) if column < 2 or column == len(row) - 1 else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(row, widths, strict=True))
    ]
    return "  ".join(cells).rstrip()
