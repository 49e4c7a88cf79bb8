"""One measurement: a fresh relay on one core, the load generator on the other, repeated while others keep them busy."""

from __future__ import annotations

import contextlib
import http.client
import json
import subprocess
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from bench.load import Bystanders
from bench.processes import pinned
from bench.relays import Kind, Relay, running
from bench.rows import Row

NOISE_LIMIT = 5.0
"""Per cent of the two cores' time that others may have had before a measurement is repeated."""

ATTEMPTS = 3

ANSWER_LIMIT = 10.0
"""Seconds for a reflector's metrics."""


class MeasurementFailed(Exception):
    """The load generator found lost or wrong bytes, or could not set its pairs up; or the relay does not tell."""


def measure(row: Row, kind: Kind, generator: Path, cores: tuple[int, int], quick: bool) -> dict[str, Any]:
    """The load generator's JSON record, from the quietest of up to ATTEMPTS runs; one if `quick`.

    Each has a relay process of its own: none inherits the heap of another. Raises MeasurementFailed and Unavailable.
    """
    best: dict[str, Any] = {}
    for _ in range(1 if quick else ATTEMPTS):
        with running(kind, cores[0]) as relay:
            bystanders = Bystanders(relay.pids, cores)
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


def _run_once(row: Row, relay: Relay, generator: Path, core: int, quick: bool) -> dict[str, Any]:
    target = ["--port", str(relay.port), "--pid", ",".join(map(str, relay.pids)), *relay.flags, "-q"]
    command = [*pinned(core, "KILL"), str(generator), *row.options(quick), *target]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise MeasurementFailed(f"{row.name}: {done.stderr.strip() or done.stdout.strip() or done.returncode}")
    record: dict[str, Any] = json.loads(done.stdout)
    return record | ({"claim_us": round(mean_claim(_exposition(relay.port)), 1)} if row.claims else {})


def mean_claim(exposition: str) -> float:
    """Microseconds that the directory took for a claim, by a reflector's metrics. Raises MeasurementFailed."""
    samples = (sample for family in text_string_to_metric_families(exposition) for sample in family.samples)
    totals = {sample.name: sample.value for sample in samples if sample.labels.get("operation") == "claim"}
    if not totals.get("medusa_directory_seconds_count"):
        raise MeasurementFailed("the reflector's metrics know of no claim")
    return 1e6 * totals["medusa_directory_seconds_sum"] / totals["medusa_directory_seconds_count"]


def _exposition(port: int) -> str:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_LIMIT)) as connection:
        try:
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()
        except (OSError, http.client.HTTPException) as error:
            raise MeasurementFailed(f"no answer of /metrics: {error}") from error
