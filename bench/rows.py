"""The rows of the table: what the load generator is asked, and which of its figures are taken."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.load import Bystanders
from bench.relays import Relay, RelayKind, running
from bench.toolchain import require

NOISE_LIMIT = 5.0
"""Per cent of the two cores' time that others may have had before a measurement is repeated."""

ATTEMPTS = 3


class MeasurementFailed(Exception):
    """The load generator found lost or wrong bytes, or could not set its pairs up."""


@dataclass(frozen=True)
class Figure:
    """One line of the table. `path` leads to the value in the load generator's JSON."""

    title: str
    unit: str
    path: tuple[str, ...]
    higher_is_better: bool = True


@dataclass(frozen=True)
class Row:
    """One run of the load generator. `full` and `quick` are its arguments for how much and how long."""

    name: str
    arguments: tuple[str, ...]
    full: tuple[str, ...]
    quick: tuple[str, ...]
    figures: tuple[Figure, ...]


def _bulk(name: str, title: str, size: str, pairs: int) -> Row:
    return Row(
        name,
        ("throughput", "--size", size, "--pairs", str(pairs)),
        ("--duration", "3", "--warmup", "1"),
        ("--duration", "1", "--warmup", "0.5"),
        (Figure(f"bulk {title}, {pairs} pair{'s' * (pairs > 1)}", "MB/s", ("MBps",)),),
    )


ROWS = (
    _bulk("bulk-16", "16 B", "16", 1),
    _bulk("bulk-1k", "1 KiB", "1k", 1),
    _bulk("bulk-4k", "4 KiB", "4k", 4),
    _bulk("bulk-64k", "64 KiB", "64k", 4),
    _bulk("bulk-1m", "1 MiB", "1m", 1),
    Row(
        "echo",
        ("echo",),
        ("--duration", "3", "--warmup", "1"),
        ("--duration", "1", "--warmup", "0.5"),
        (
            Figure("echo round trip p50", "us", ("rtt_us", "p50"), False),
            Figure("echo round trip p99", "us", ("rtt_us", "p99"), False),
        ),
    ),
    Row(
        "connect",
        ("connect",),
        ("--duration", "3", "--warmup", "1"),
        ("--duration", "1", "--warmup", "0.5"),
        (Figure("pairs set up and closed", "1/s", ("pairs_per_s",)),),
    ),
    Row(
        "idle",
        ("idle", "--check", "20"),
        ("--pairs", "1000", "--settle", "2"),
        ("--pairs", "300", "--settle", "0.5"),
        (Figure("memory per idle pair", "KiB", ("rss_kib_per_pair",), False),),
    ),
    Row(
        "stopped-reader",
        ("slowreader", "--max-bytes", "256m", "--resume", "0.5"),
        ("--stall", "4"),
        ("--stall", "2"),
        (Figure("growth, reader stopped", "MiB", ("rss_growth_MiB",), False),),
    ),
)


def measure(row: Row, kind: RelayKind, generator: Path, cores: tuple[int, int], quick: bool) -> dict[str, Any]:
    """The load generator's JSON record, from the quietest of up to ATTEMPTS runs; raises MeasurementFailed.

    Each has a relay process of its own: none inherits the heap of another.
    """
    best: dict[str, Any] = {}
    for _ in range(ATTEMPTS):
        with running(kind, cores[0]) as relay:
            bystanders = Bystanders(relay.pid, cores)
            record = _run_once(row, relay, generator, cores[1], quick)
            record["others_pct"] = round(bystanders.share(), 1)
        if not best or noise(record) < noise(best):
            best = record
        if noise(best) <= NOISE_LIMIT:
            break
    return best


def noise(record: dict[str, Any]) -> float:
    """Per cent of the two cores' time that others had during the measurement."""
    return float(record["others_pct"])


def value(figure: Figure, record: dict[str, Any]) -> float:
    """The figure's value in a record of the load generator."""
    found: Any = record
    for key in figure.path:
        found = found[key]
    return float(found)


def _run_once(row: Row, relay: Relay, generator: Path, core: int, quick: bool) -> dict[str, Any]:
    target = ["--port", str(relay.port), "--pid", str(relay.pid), "-q"]
    command = [require("taskset"), "-c", str(core), str(generator), *row.arguments, *target]
    done = subprocess.run([*command, *(row.quick if quick else row.full)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MeasurementFailed(f"{row.name}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    record: dict[str, Any] = json.loads(done.stdout)
    return record
