"""What a worker gets at its start: one line of JSON on its standard input; and the lines that follow. No I/O.

The command line and the environment would not do, as other users may read them; nor would the config file, which may
have changed: all workers of a run have one configuration.
"""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any

from medusa.reflector.config import ReflectorConfig, Timeouts

DRAIN = b"drain"
RELOAD = b"reload"
"""Orders: lines that follow the task. At the end of its input a worker stops: hard, or in order if it has drained."""

LISTENING = "listening "
FAILED = "failed "
DRAINED = "drained"
"""Reports: lines on the worker's standard output. LISTENING is followed by the URLs where it serves, FAILED by the
reason why it cannot. DRAINED: no session lives in it any more, and none will."""


@dataclass(frozen=True)
class Task:
    """All descriptors are inherited.

    Attributes:
        number: of the worker, from 1.
        key: of medusa.reflector.workers.sharding, in hexadecimal.
        listeners: descriptors of listening sockets, by name.
        inbox: the descriptor of the worker's own inbox.
        outboxes: descriptors to the inboxes of the others, by their numbers.
        directory: the working directory, from which relative paths of the configuration count.
        log: format and level.
        draining: the other workers drain already, so drain at once.
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
        """The line to send, with its end."""
        return json.dumps(dataclasses.asdict(self)).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Task:
        """The task that `line` was made from."""
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
