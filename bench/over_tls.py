"""The rows about TLS: those of the relays for websockets once more, and those that only TLS has."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence

from bench.row import Figure, Goal, Row

IDLE_PAIRS = 2000

_GOALS = {
    "tls-4k": Goal(1.2),
    "tls-64k": Goal(1.2),
    "tls-echo": Goal(1.1),
    "tls-idle": Goal(60, absolute=True),
}
"""The goals of the first figure of these rows. The others have none."""


def over_tls(rows: Sequence[Row]) -> Iterator[Row]:
    """Returns the rows about TLS. `rows`: those of the relays for websockets, without TLS."""
    for row in rows:
        name = "tls-" + row.name.removeprefix("bulk-")
        figures = [dataclasses.replace(figure, title=f"TLS: {figure.title}", goal=None) for figure in row.figures]
        figures[0] = dataclasses.replace(figures[0], goal=_GOALS.get(name))
        full = ("--pairs", str(IDLE_PAIRS), "--settle", "2") if row.name == "idle" else row.full
        yield dataclasses.replace(row, name=name, wire="tls", figures=tuple(figures), full=full)
    yield _handshakes("tls-handshake", "TLS: handshakes")
    yield _handshakes("tls-resume", "TLS: handshakes with a ticket", "--tls-resume")
    bulk = Figure("TLS in, TLS out: bulk 64 KiB, 1 pair", "MB/s", ("MBps",), goal=Goal(1))
    yield Row("tls-raw-64k", ("throughput", "--size", "64k"), (bulk,), wire="tls-raw")
    echo = [Figure(f"TLS in, TLS out: key echo, {part}", "us", ("rtt_us", part), False) for part in ("p50", "p99")]
    yield Row("tls-raw-echo", ("echo",), tuple(echo), wire="tls-raw")


def _handshakes(name: str, title: str, *more: str) -> Row:
    figure = Figure(title, "1/s", ("handshakes_per_s",))
    return Row(name, ("handshake", *more), (figure,), wire="tls")
