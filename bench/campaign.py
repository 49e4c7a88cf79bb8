"""All measurements of one benchmark: their order, their results, and those that failed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from bench.kinds import Kind
from bench.measure import NOISE_LIMIT, MeasurementFailed, measure, noise
from bench.progress import Progress
from bench.relays import SUBJECTS, WIRES, YARDSTICKS
from bench.report import Line, Table
from bench.row import Row, value
from bench.rows import IDLE_PAIRS, idle_limit
from bench.toolchain import Unavailable

REASON_LIMIT = 200

Record = dict[str, Any] | None
"""What the load generator printed about one measurement; None if the measurement failed."""


Measure = Callable[[Row, Kind, Path, tuple[int, int], bool], dict[str, Any]]
"""A function that makes one measurement. Its arguments and result are those of bench.measure.measure."""


class Campaign:
    """All measurements of one benchmark.

    Args:
        chosen: the rows to measure.
        only: the names of the relays to measure.
        runs: how many times each row is measured with each relay.
        quick: True for shorter measurements.
        take: makes one measurement.
    """

    def __init__(
        self, chosen: Sequence[Row], only: Sequence[str], runs: int, quick: bool, take: Measure = measure
    ) -> None:
        self._rows = chosen
        self._only = only
        self._runs = runs
        self._quick = quick
        self._measure = take
        self.records: dict[str, dict[str, list[Record]]] = {
            row.name: {name: [] for name in self._relays(row.wire)} for row in chosen
        }
        self._left_out: dict[tuple[str, str], str] = {}
        """For each (wire, relay) that could not take part, the reason."""

    def measure(self, generator: Path, cores: tuple[int, int]) -> None:
        """Makes all measurements. If a relay cannot take part, prints the reason and leaves the relay out.

        Args:
            generator: the path of the load generator.
            cores: the core for the relay, and the core for the load generator.

        Raises:
            Unavailable: there is nothing to measure.
        """
        if not any(self.records.values()):
            raise Unavailable("none of these relays takes part in any of these rows")
        progress = Progress(sum(row.seconds(self._quick) for _, row, _ in self._plan()))
        try:
            for run, row, name in self._plan():
                out = (row.wire, name) in self._left_out
                if not out:
                    progress.begin(f"run {run + 1}/{self._runs}  {row.name}  {name} ")
                    self._take(row, name, generator, cores, progress)
                progress.end(row.seconds(self._quick), skipped=out)
        finally:
            progress.clear()

    @property
    def complete(self) -> bool:
        """True if something was measured and no measurement failed. Relays that were left out do not count."""
        taken = [
            (1 if row.once else self._runs, samples)
            for row in self._rows
            for name, samples in self.records[row.name].items()
            if (row.wire, name) not in self._left_out
        ]
        return bool(taken) and all(len(samples) == runs and None not in samples for runs, samples in taken)

    def tables(self) -> list[Table]:
        """Returns one table for each wire that has a chosen row and a chosen relay."""
        found = []
        for wire in WIRES:
            names = self._relays(wire)
            lines = [line for row in self._rows if row.wire == wire for line in self._lines(row)]
            if names and lines:
                found.append(Table(YARDSTICKS[wire], SUBJECTS[wire], names, lines))
        return found

    def notes(self) -> list[str]:
        """Returns the notes that a reader of the figures needs."""
        return [
            f"Medians of {self._runs}; ratios are taken within a run; MB = 1e6 payload bytes; v: less is better.",
            "Backpressure: " + "; ".join(self._backpressure()) + ".",
            *self._notes_on_memory(),
            *self._notes_on_doors(),
            *(f"Left out ({wire}): {reason}" for (wire, _), reason in self._left_out.items()),
            *self._notes_on_noise(),
        ]

    def _relays(self, wire: str) -> list[str]:
        return [name for name in WIRES[wire] if name in self._only]

    def _plan(self) -> Iterator[tuple[int, Row, str]]:
        for run in range(self._runs):
            for row in self._rows:
                if run and row.once:
                    continue
                names = self._relays(row.wire)
                # Each run begins with another relay, so that a drift of the machine's speed favours none of them.
                first = run % len(names) if names else 0
                yield from ((run, row, name) for name in names[first:] + names[:first])

    def _take(self, row: Row, name: str, generator: Path, cores: tuple[int, int], progress: Progress) -> None:
        try:
            self.records[row.name][name].append(
                self._measure(row, WIRES[row.wire][name], generator, cores, self._quick)
            )
            return
        except MeasurementFailed as error:
            self.records[row.name][name].append(None)
            problem = f"{name} failed: {error}"
        except Unavailable as error:
            self._left_out[row.wire, name] = " ".join(str(error).split())[:REASON_LIMIT]
            problem = f"{name} is left out of the {row.wire} rows: {error}"
        progress.clear()
        print(problem, file=sys.stderr)

    def _lines(self, row: Row) -> Iterator[Line]:
        for figure in row.figures:
            yield Line(
                figure,
                {
                    name: [None if record is None else value(figure, record) for record in taken]
                    for name, taken in self.records[row.name].items()
                },
            )

    def _backpressure(self) -> Iterator[str]:
        seen = {name: kind for row in self._rows for name, kind in WIRES[row.wire].items() if name in self._only}
        return (f"{name}: {kind.backpressure}" for name, kind in seen.items())

    def _notes_on_memory(self) -> Iterator[str]:
        pairs = {record["pairs"] for taken in self.records.get("idle", {}).values() for record in taken if record}
        if pairs:
            few = "" if self._quick or max(pairs) >= IDLE_PAIRS else f"; {idle_limit()} open files allow no more"
            once = "; rows about memory are measured once" if self._runs > 1 else ""
            yield f"Memory is that of {max(pairs)} idle pairs{few}{once}."

    def _notes_on_doors(self) -> Iterator[str]:
        if any(row.wire == "site" for row in self._rows) and set(self._relays("site")) - {YARDSTICKS["site"]}:
            yield (
                "one-door: a reflector whose directory is on a Redis; two-doors: two of them, clients at one and "
                "agents at the other. All of it, Redis too, shares the relay's core."
            )

    def _notes_on_noise(self) -> Iterator[str]:
        taken = [record for row in self.records.values() for samples in row.values() for record in samples if record]
        worst = max(map(noise, taken), default=0.0)
        if worst > NOISE_LIMIT:
            yield f"Others had up to {worst:.0f} % of the two cores' time: run again on a quiet machine."
