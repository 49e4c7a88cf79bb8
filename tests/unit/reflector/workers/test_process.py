"""A worker's process: orders in, reports out."""

from __future__ import annotations

import select
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.reflector.config import ReflectorConfig
from medusa.reflector.workers.process import Worker
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
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    (tmp_path / "echoes_orders.py").write_text(ECHO)
    monkeypatch.setattr(sys, "path", [*sys.path, str(tmp_path)])
    task = Task(ReflectorConfig(), 7, "", {}, 0, {}, "/", ("json", "info"))
    worker = Worker(task, [], "echoes_orders")
    yield worker
    worker.kill()
    worker.bury()


def hear(worker: Worker) -> bool:
    assert select.select([worker], [], [], PATIENCE)[0]
    return worker.heard()


def test_orders_and_reports(worker: Worker) -> None:
    while not worker.url:
        assert hear(worker)
    assert (worker.url, worker.complaint, worker.drained) == ("somewhere", "", False)
    worker.order(RELOAD)
    while not worker.complaint:
        assert hear(worker)
    worker.order(DRAIN)
    while not worker.drained:
        assert hear(worker)
    assert worker.complaint == "to see why"
    worker.dismiss()
    while hear(worker):
        pass
    assert worker.bury() == {"status": 5}


def test_orders_to_who_is_gone_are_lost(worker: Worker) -> None:
    worker.kill()
    while hear(worker):
        pass
    worker.order(DRAIN)
    assert worker.bury() == {"signal": "SIGKILL"}
