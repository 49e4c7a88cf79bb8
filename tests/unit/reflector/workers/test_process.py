"""A worker's process: orders in, reports out; and when it is started again."""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.reflector.config import ReflectorConfig
from medusa.reflector.workers.process import MAX_BACKOFF, STEADY_LIFETIME, Backoff, WorkerProcess
from medusa.reflector.workers.task import DRAIN, RELOAD, Task
from tests.waiting import PATIENCE

ECHO = """
import sys
assert '"number": 7' in sys.stdin.readline()
sys.stdout.write("listen")
sys.stdout.flush()
sys.stdout.write("ing somewhere\\nwhat nobody knows\\n")
sys.stdout.flush()
for line in sys.stdin:
    print({"drain\\n": "drained", "reload\\n": "failed to see why"}[line], flush=True)
sys.exit(5)
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerProcess]:
    (tmp_path / "echoes_orders.py").write_text(ECHO)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    task = Task(ReflectorConfig(), 7, "", {}, 0, {}, "/", ("json", "info"))
    worker = WorkerProcess(task, [], "echoes_orders")
    yield worker
    worker.kill()
    worker.reap()


def read(worker: WorkerProcess) -> bool:
    assert select.select([worker], [], [], PATIENCE)[0]
    return worker.read_reports()


def test_orders_and_reports(worker: WorkerProcess) -> None:
    while not worker.url:
        assert read(worker)
    assert (worker.url, worker.complaint, worker.drained) == ("somewhere", "", False)
    worker.order(RELOAD)
    while not worker.complaint:
        assert read(worker)
    worker.order(DRAIN)
    while not worker.drained:
        assert read(worker)
    assert worker.complaint == "to see why"
    worker.dismiss()
    while read(worker):
        pass
    assert worker.reap() == {"status": 5}


def test_orders_to_a_worker_that_has_ended_are_lost(worker: WorkerProcess) -> None:
    worker.kill()
    while read(worker):
        pass
    worker.order(DRAIN)
    assert worker.reap() == {"signal": "SIGKILL"}


def test_restarts_come_later_and_later() -> None:
    backoff = Backoff()
    assert [backoff.delay(0.0) for _ in range(10)] == [0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, MAX_BACKOFF, MAX_BACKOFF]
    assert [backoff.delay(0.0) for _ in range(100)][-1] == MAX_BACKOFF, "no overflow"


def test_a_worker_that_lived_long_is_restarted_at_once() -> None:
    backoff = Backoff()
    lives = (1, STEADY_LIFETIME - 1, STEADY_LIFETIME, STEADY_LIFETIME + 1, 1)
    assert [backoff.delay(lived) for lived in lives] == [0, 0.1, 0, 0, 0.1]
