"""A task passes a pipe unchanged, whatever its fields hold."""

from __future__ import annotations

import os

from medusa.protocol.record import replace
from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.workers.task import Task


def test_is_read_as_it_was_written() -> None:
    odd = os.fsdecode(b"/srv/\xff\n{}")
    config = ReflectorConfig(port=0, accounts=odd, public_host=("a", "b"), publish="s3://b/k?secret", wait_timeout=0.5)
    config = replace(config, timeouts=Timeouts(close_timeout=0.25, directory_connections=3))
    task = Task(config, 2, "00ff", {"http": 3, "raw": 4}, 5, {1: 6, 3: 7}, odd, ("json", "info"), draining=True)
    line = task.line()
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert Task.parse(line.rstrip(b"\n")) == task


def test_defaults() -> None:
    task = Task(ReflectorConfig(), 1, "", {}, 3, {}, "/", ("console", "debug"))
    assert Task.parse(task.line()) == task
