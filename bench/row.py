"""The classes of which the table of rows is made: a row, its figures and their goals."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Goal:
    """A goal for the reflector. `bound` is a value if `absolute`, else a ratio to the relay that is the yardstick."""

    bound: float
    absolute: bool = False


@dataclass(frozen=True)
class Figure:
    """A value that is shown as one line of a table.

    Attributes:
        path: the keys that lead to the value in the load generator's JSON.
        over: the keys that lead to a number by which the value is divided, if any.
    """

    title: str
    unit: str
    path: tuple[str, ...]
    higher_is_better: bool = True
    goal: Goal | None = None
    over: tuple[str, ...] = ()


def window(seconds: float, warmup: float) -> tuple[str, ...]:
    """Returns the arguments for a measurement of `seconds`, after `warmup` seconds that do not count."""
    return ("--duration", f"{seconds:g}", "--warmup", f"{warmup:g}")


@dataclass(frozen=True)
class Row:
    """A measurement with a load generator, which gives one or more figures.

    Attributes:
        arguments: the arguments of the load generator.
        figures: the figures to take from its output.
        full: more arguments, which say how much and how long to measure.
        quick: the same for a quick run, in place of `full`.
        wire: the key in relays.WIRES of the relays to measure.
        around: an estimate of the seconds that a full run takes before and after its window. It is only for the
            estimate of the time that is left.
        claims: True to add `claim_us` to the record: the mean time of a claim, from the reflector's metrics.
        once: True to measure the row only in the first run. It is for memory, which other processes do not change.
    """

    name: str
    arguments: tuple[str, ...]
    figures: tuple[Figure, ...]
    full: tuple[str, ...] = window(3, 1)
    quick: tuple[str, ...] = window(1, 0.5)
    wire: str = "websocket"
    around: float = 2.0
    claims: bool = False
    once: bool = False

    def options(self, quick: bool) -> tuple[str, ...]:
        """Returns the arguments of the load generator for a full or a quick run."""
        return self.arguments + (self.quick if quick else self.full)

    def seconds(self, quick: bool) -> float:
        """Returns an estimate of how long one measurement takes, in seconds."""
        options = itertools.pairwise(self.options(quick))
        return (min(self.around, 2.0) if quick else self.around) + sum(
            float(amount) for flag, amount in options if flag in _LASTING
        )


_LASTING = ("--duration", "--warmup", "--settle", "--stall", "--resume")


def value(figure: Figure, record: dict[str, Any]) -> float:
    """Returns the figure's value in the load generator's record. Raises KeyError if it is not there."""
    return _found(figure.path, record) / (_found(figure.over, record) or 1.0 if figure.over else 1.0)


def _found(path: tuple[str, ...], record: dict[str, Any]) -> float:
    found: Any = record
    for key in path:
        found = found[key]
    return float(found)
