"""Makes one measurement, with a new relay on one core and the load generator on another. Repeats it if it was noisy.

A session (see relays.SessionKind) has both cores, because it takes several processes.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bench.kinds import Kind, Relay, SessionKind
from bench.load import Bystanders
from bench.processes import pinned
from bench.relays import running
from bench.row import Row
from bench.toolchain import HERE

NOISE_LIMIT = 5.0
"""Per cent of the two cores' time. If other processes used more, the measurement is noisy and is repeated."""

ATTEMPTS = 3

METRICS_TIMEOUT = 10.0
"""Seconds for a reflector to answer with its metrics."""


class MeasurementFailed(Exception):
    """The measurement failed.

    Either the load generator found lost or wrong bytes or could not set up its pairs, or the relay gave no metrics.
    """


def measure(row: Row, kind: Kind, generator: Path, cores: tuple[int, int], quick: bool) -> dict[str, Any]:
    """Measures a row with a relay. Returns the load generator's JSON record.

    Makes up to ATTEMPTS runs, or one if `quick`, and returns the record of the least noisy run. Each run starts a new
    relay process, so that no run inherits the heap of another.

    Args:
        generator: the path of the load generator.
        cores: the core for the relay, and the core for the load generator.

    Raises:
        MeasurementFailed: the load generator or the relay failed.
        Unavailable: the relay cannot be started.
    """
    best: dict[str, Any] = {}
    for _ in range(1 if quick else ATTEMPTS):
        with running(kind, cores[0]) as relay:
            bystanders = Bystanders(relay.pids, cores)
            record = _run_once(row, relay, _command(row, kind, relay, generator, cores[1], quick))
            record["others_pct"] = round(bystanders.share(), 1)
        if not best or noise(record) < noise(best):
            best = record
        if noise(best) <= NOISE_LIMIT:
            break
    return best


def noise(record: dict[str, Any]) -> float:
    """Returns the per cent of the two cores' time that other processes used during the measurement."""
    return float(record["others_pct"])


def _command(row: Row, kind: Kind, relay: Relay, generator: Path, core: int, quick: bool) -> list[str]:
    if isinstance(kind, SessionKind):
        return [*pinned(None), sys.executable, "-m", "bench.loads", *row.options(quick), *relay.flags]
    target = ["--port", str(relay.port), "--pid", ",".join(map(str, relay.pids)), *relay.flags, "-q"]
    return [*pinned(core, "KILL"), str(generator), *row.options(quick), *target]


def _run_once(row: Row, relay: Relay, command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, cwd=HERE.parent, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MeasurementFailed(f"{row.name}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    record: dict[str, Any] = json.loads(done.stdout)
    return record | ({"claim_us": round(mean_claim(_exposition(relay.port)), 1)} if row.claims else {})


def mean_claim(exposition: str) -> float:
    """Returns the mean time of a claim in the directory, in microseconds.

    Args:
        exposition: a reflector's metrics, in the text format of Prometheus.

    Raises:
        MeasurementFailed: there was no claim.
    """
    samples = (sample for family in text_string_to_metric_families(exposition) for sample in family.samples)
    totals = {sample.name: sample.value for sample in samples if sample.labels.get("operation") == "claim"}
    if not totals.get("medusa_directory_seconds_count"):
        raise MeasurementFailed("the reflector's metrics know of no claim")
    return 1e6 * totals["medusa_directory_seconds_sum"] / totals["medusa_directory_seconds_count"]


def _exposition(port: int) -> str:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=METRICS_TIMEOUT)) as connection:
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise MeasurementFailed(f"no answer of /metrics: {error}") from error
