"""What a worker is told at its start: one line of JSON on its standard input. No I/O.

Not its command line or its environment, which others may read, and not the config file, which may have changed: all
workers of a run have one configuration.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from medusa.reflector.config import ReflectorConfig, Timeouts

DRAIN = b"drain"
RELOAD = b"reload"
"""Orders: lines that follow the task. The end of the input means: stop at once, or, when drained, now."""

LISTENING = "listening "
FAILED = "failed "
DRAINED = "drained"
"""Reports: lines on the worker's standard output. It serves, and where; it cannot, and why; no session lives in it any
more, and none will."""


@dataclass(frozen=True)
class Task:
    """Descriptors are inherited ones.

    Attributes:
        number: of the worker, from 1.
        key: of medusa.reflector.workers.sharding, in hexadecimal.
        listeners: descriptors of sockets that listen, by name.
        inbox: the worker's own mailbox; outboxes: the others', by number.
        directory: where relative paths begin.
        log: format and level.
        draining: the others drain already.
    """

    config: ReflectorConfig
    number: int
    key: str
    listeners: dict[str, int]
    inbox: int
    outboxes: dict[int, int]
    directory: str
    log: tuple[str, str]
    draining: bool = False

    def line(self) -> bytes:
        """As it is sent."""
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Task:
        """What `line` gave."""
        fields = json.loads(line)
        config: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value for name, value in fields["config"].items()
        }
        fields |= {
            "config": ReflectorConfig(**{**config, "timeouts": Timeouts(**config["timeouts"])}),
            "outboxes": {int(number): fd for number, fd in fields["outboxes"].items()},
            "log": tuple(fields["log"]),
        }
        return cls(**fields)
