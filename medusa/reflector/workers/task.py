"""The lines between the supervisor and a worker: the task, later orders, and the worker's reports. No I/O.

The task is one line of JSON on the worker's standard input. It is not on the command line or in the environment, where
other users of this host might read it. The worker does not read the config file, because the file may have changed, and
all workers of a run must have the same configuration.
"""

from __future__ import annotations

import json
from typing import Any

from medusa.protocol.record import fields_of, record
from medusa.reflector.config import ReflectorConfig, Timeouts

DRAIN = b"drain"
RELOAD = b"reload"
"""DRAIN and RELOAD are the orders: lines that may follow the task on the worker's standard input.

When this input ends, the worker stops. If the worker has drained, it first waits for the end of its last connections.
"""

LISTENING = "listening "
FAILED = "failed "
DRAINED = "drained"
ALIVE = "alive"
"""LISTENING, FAILED, DRAINED and ALIVE are the reports: lines on the worker's standard output.

LISTENING is followed by the URLs where the worker serves, FAILED by the reason why it cannot serve. DRAINED means that
the worker has no session any more, and will get none. ALIVE comes again and again: the worker's event loop runs.
"""


@record
class Task:
    """All that a worker needs at its start. The worker inherits the descriptors in the task.

    Attributes:
        config: the configuration of the reflector.
        number: the number of the worker, from 1.
        key: the key for owner_of (medusa.reflector.workers.sharding), in hexadecimal.
        listeners: the descriptors of the listening sockets, by name.
        inbox: the descriptor of the worker's own inbox.
        outboxes: the descriptors of the sockets to the other workers' inboxes, by worker number.
        directory: the working directory, to which relative paths in the configuration refer.
        log: the log's format and level.
        draining: True if the other workers are already draining. Then the new worker drains at its start.
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
        """Returns the task as a line to send, with its line end."""
        return json.dumps(fields_of(self), default=fields_of).encode() + b"\n"

    @classmethod
    def parse(cls, line: bytes) -> Task:
        """Returns the task in a line that `line()` made."""
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
