"""The benchmark works, its relays speak the reflector's wire, and none outlives it. No time is checked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import documents, results
from bench.kinds import RelayKind
from bench.processes import descendants, runs
from bench.relays import KINDS, WIRES, running
from bench.toolchain import Unavailable, build_load_generator, install_packages, require
from tests.interop.pairs import pair
from tests.waiting import PATIENCE, wait_until

ROOT = Path(__file__).parents[2]


needs_node = pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="needs node and npm")


SERVERS = ("haproxy", "nginx", "redis-server", "socat", "ssh", "sshd", "taskset")


def missing(tools: Sequence[str]) -> list[str]:
    def is_missing(tool: str) -> bool:
        try:
            require(tool)
        except Unavailable:
            return True
        return False

    return list(filter(is_missing, tools))


needs_servers = pytest.mark.skipif(bool(missing(SERVERS)), reason=f"needs {', '.join(SERVERS)}")


@needs_node
@pytest.mark.parametrize("name", ["ws", "watershed", "websockets"])
def test_a_peer_relay_pairs_forwards_and_closes(name: str) -> None:
    install_packages()
    with running(KINDS[name]) as relay, pair(relay) as ends:
        ends.client.send("é")
        ends.agent.send(b"x" * 70000)
        assert ends.agent.recv(timeout=PATIENCE) == "é"
        assert ends.client.recv(timeout=PATIENCE) == b"x" * 70000
        ends.client.close(1000, "done")
        assert ends.client.close_code == 1000


@needs_node
@needs_servers
@pytest.mark.parametrize(
    ("wire", "name"), [("tls", "medusa"), ("tls", "ws"), ("tls-raw", "haproxy"), ("tls-raw", "nginx")]
)
def test_a_relay_with_tls_forwards_both_ways(wire: str, name: str) -> None:
    """The load generator compares every byte, and the two ends have the version and the suite that it asks for."""
    load = [
        str(build_load_generator()),
        "throughput",
        "--verify",
        "--dir",
        "both",
        "--duration",
        "0.5",
        "--size",
        "70k",
    ]
    with running(WIRES[wire][name]) as relay:
        command = [*load, "--port", str(relay.port), *relay.flags, "-q"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["verified_MB"] > 0
    assert record["lost_bytes"] == record["verify_errors"] == 0


def test_a_missing_tool_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(Unavailable, match="apt-get install openssh-server"):
        require("sshd")


def test_a_relay_that_does_not_start_says_why() -> None:
    broken = RelayKind("broken", lambda: ["sh", "-c", "echo no such port >&2; exit 3"], "none")
    with pytest.raises(Unavailable, match="no such port"), running(broken):
        pass


@needs_servers
def test_the_benchmark_works(tmp_path: Path) -> None:
    """One quick run with a relay of each kind."""
    only = "medusa,haproxy,nginx,socat,c-copy,ssh-jump,two-doors,mlogin,mlogin-own,mlogin-cut,ssh-proxy,medusa-cp"
    rows = "echo,connect-signed,raw-echo,tls-resume,tls-raw-echo,claim,"
    rows += "session-terminal,first-output-own,session-cut,ssh-first,cp-many-up"
    chosen = ["--only", only, "--rows", rows]
    command = [sys.executable, "-m", "bench", "--quick", "--keep", *chosen, "--results", str(tmp_path / "results")]
    command += ["--root", str(tmp_path)]
    (tmp_path / "docs").mkdir()
    for name in ("README.md", "docs/benchmark.md"):
        (tmp_path / name).write_text(documents.BEGIN + documents.END)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    kept = results.load(tmp_path / "results")
    assert kept.text() in done.stdout
    saved = [path.suffix for path in (tmp_path / "results").iterdir()]
    assert sorted(saved) == [".json", ".json", ".png", ".png", ".txt", ".txt"]
    medians = {name: line.median(name) for table in kept.tables for line in table.lines for name in table.relays}
    assert [name for name, median in medians.items() if median is None] in ([], ["medusa"])
    assert documents.quoted("docs/benchmark.md", tmp_path) == kept.markdown()


@needs_servers
@pytest.mark.parametrize(
    ("only", "row", "number"),
    [
        ("ssh-jump", "raw-echo", signal.SIGKILL),
        ("two-doors", "site-echo", signal.SIGKILL),
        ("two-doors", "site-echo", signal.SIGTERM),
        ("mlogin", "session-stale", signal.SIGKILL),
    ],
)
def test_no_signal_leaves_a_relay_behind(tmp_path: Path, number: int, only: str, row: str) -> None:
    command = [sys.executable, "-m", "bench", "--only", only, "--rows", row, "--results", str(tmp_path)]
    environ = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as bench:
        wait_until(lambda: {"loadgen", "yes"}.intersection(map(name_of, descendants(bench.pid))))
        offspring = descendants(bench.pid)[1:]
        bench.send_signal(number)
        bench.wait(PATIENCE)
    wait_until(lambda: not any(map(runs, offspring)))


def name_of(pid: int) -> str:
    """The name of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


@needs_servers
def test_the_simulation_of_many_sessions() -> None:
    command = [sys.executable, "-m", "bench.scale", "--rows", "300", "--reflectors", "3", "--rest", "0.1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=2 * PATIENCE, check=True)
    assert "| sessions; reflector processes | 300; 3 |" in done.stdout
    assert "| medusa sessions list --json | 300 sessions in " in done.stdout


@needs_servers
def test_a_storm_of_few_sessions() -> None:
    command = [sys.executable, "-m", "bench.storm", "--sessions", "6", "--workers", "2"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=2 * PATIENCE, check=True)
    assert "| sessions, each with three connections; workers | 6; 2 |" in done.stdout
    assert "until all sessions are linked again" in done.stdout
