"""The benchmark's relays speak the reflector's wire, and its table says what was measured. No timing is looked at."""

from __future__ import annotations

import shutil

import pytest

from bench import report, rows
from bench.relays import KINDS, RelayKind, running
from bench.toolchain import Unavailable, install_packages, require
from tests.interop.pairs import pair
from tests.waiting import PATIENCE

needs_node = pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="needs node and npm")


@needs_node
@pytest.mark.xdist_group("bench-packages")
@pytest.mark.parametrize("name", ["ws", "watershed"])
def test_a_peer_relay_pairs_forwards_and_closes(name: str) -> None:
    install_packages()
    with running(KINDS[name]) as relay, pair(relay) as ends:
        ends.client.send("é")
        ends.agent.send(b"x" * 70000)
        assert ends.agent.recv(timeout=PATIENCE) == "é"
        assert ends.client.recv(timeout=PATIENCE) == b"x" * 70000
        ends.client.close(1000, "done")
        assert ends.client.close_code == 1000


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Unavailable, match="apt-get install gcc"):
        require("cc")


def test_a_relay_that_does_not_start_says_why() -> None:
    broken = RelayKind("broken", lambda: ["sh", "-c", "echo no such port >&2; exit 3"], "none")
    with pytest.raises(Unavailable, match="no such port"), running(broken):
        pass


def test_the_table_shows_medians_and_ratios() -> None:
    speed = rows.Figure("bulk", "MB/s", ("MBps",))
    delay = rows.Figure("echo", "us", ("rtt_us", "p50"), higher_is_better=False)
    assert rows.value(delay, {"rtt_us": {"p50": 12.5}}) == 12.5
    lines = [
        report.Line(speed, {"medusa": [200.0, 900.0, 300.0], "ws": [150.0, 150.0, 100.0]}),
        report.Line(delay, {"medusa": [], "ws": [50.0]}),
    ]
    head, first, second = report.table(lines, ["medusa", "ws"]).splitlines()
    assert head.split() == ["unit", "medusa", "ws", "medusa/ws"]
    assert first.split() == ["bulk", "MB/s", "300", "150", "2.00"]
    assert second.split() == ["echo", "v", "us", "-", "50.0", "-"]
