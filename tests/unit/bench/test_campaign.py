"""The order of the measurements, those that fail, and the estimate of the time."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from bench.campaign import Campaign
from bench.kinds import Kind
from bench.measure import MeasurementFailed
from bench.progress import Progress
from bench.row import Row
from bench.rows import IDLE_PAIRS, ROWS, idle_pairs
from bench.toolchain import Unavailable

BULK, ECHO, IDLE, RAW, DOORS = (
    next(row for row in ROWS if row.name == name) for name in ("bulk-16", "echo", "idle", "raw-64k", "site-echo")
)


class Measurements:
    """Replaces `measure`: notes each call, and returns a record or raises the relay's exception in `failures`."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.failures: dict[str, Exception] = {}

    def __call__(self, row: Row, kind: Kind, *_: object) -> dict[str, Any]:
        self.asked.append((row.name, kind.name))
        if kind.name in self.failures:
            raise self.failures[kind.name]
        memory = {"pairs": 9900, "rss_kib_per_pair": 8.0}
        return {"MBps": 10.0, "rtt_us": {"p50": 1, "p99": 2}, "others_pct": 7.0} | memory

    def run(self, rows: list[Row], only: list[str], runs: int = 1) -> Campaign:
        campaign = Campaign(rows, only, runs, quick=True, take=self)
        campaign.measure(Path("generator"), (0, 1))
        return campaign


@pytest.fixture
def measurements() -> Measurements:
    return Measurements()


def test_another_relay_is_first_in_each_run(measurements: Measurements) -> None:
    assert measurements.run([BULK], ["medusa", "ws"], runs=2).complete
    assert [name for _, name in measurements.asked] == ["medusa", "ws", "ws", "medusa"]


def test_memory_is_measured_in_the_first_run_only(measurements: Measurements) -> None:
    campaign = measurements.run([BULK, IDLE], ["medusa"], runs=3)
    assert campaign.complete
    assert [name for name, _ in measurements.asked] == ["bulk-16", "idle", "bulk-16", "bulk-16"]
    assert "Memory is that of 9900 idle pairs; rows about memory are measured once." in campaign.notes()


def test_each_wire_has_a_table_of_its_own(measurements: Measurements) -> None:
    tables = measurements.run([BULK, ECHO, RAW], ["medusa", "ws", "socat"]).tables()
    assert [(table.relays, len(table.lines)) for table in tables] == [(["medusa", "ws"], 3), (["medusa", "socat"], 1)]


def test_a_relay_that_cannot_start_is_left_out_with_the_reason(
    measurements: Measurements, capsys: pytest.CaptureFixture[str]
) -> None:
    measurements.failures["socat"] = Unavailable("socat is not\ninstalled")
    campaign = measurements.run([RAW], ["medusa", "socat"], runs=2)
    assert measurements.asked.count(("raw-64k", "socat")) == 1
    assert campaign.complete
    assert "Left out (raw): socat is not installed" in campaign.notes()
    assert "socat is left out of the raw rows" in capsys.readouterr().err


def test_nothing_measured_is_not_complete(measurements: Measurements) -> None:
    measurements.failures["medusa"] = Unavailable("no")
    assert not measurements.run([BULK], ["medusa"]).complete
    with pytest.raises(Unavailable, match="none of these relays"):
        measurements.run([BULK], ["socat"])


def test_a_failure_is_a_gap_in_its_run(measurements: Measurements, capsys: pytest.CaptureFixture[str]) -> None:
    measurements.failures["ws"] = MeasurementFailed("bulk-16: 3 bytes did not arrive")
    campaign = measurements.run([BULK], ["medusa", "ws"], runs=2)
    assert not campaign.complete
    assert campaign.tables()[0].lines[0].samples == {"medusa": [10.0, 10.0], "ws": [None, None]}
    assert "ws failed: bulk-16: 3 bytes did not arrive" in capsys.readouterr().err


def test_idle_pairs_fit_into_the_limit_of_open_files() -> None:
    assert idle_pairs(1024) == 412
    assert idle_pairs(1 << 20) == IDLE_PAIRS
    assert idle_pairs(100) == 1


def test_the_time_left_follows_the_pace() -> None:
    output, now = io.StringIO(), [0.0]
    progress = Progress(100.0, output, clock=lambda: now[0])
    progress.begin("first")
    now[0] = 20.0
    progress.end(10.0)
    progress.end(30.0, skipped=True)
    progress.begin("second")
    assert output.getvalue() == "first  about 2 min left\nsecond  about 2 min left\n"
