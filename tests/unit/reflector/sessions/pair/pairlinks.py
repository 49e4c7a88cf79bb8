"""A connection of a pair as its deadlines see it."""

from __future__ import annotations

from dataclasses import dataclass, field

from medusa.protocol.keepalive import Keepalive
from medusa.protocol.relay import Unfinished
from medusa.reflector.config import ReflectorConfig, Timeouts
from medusa.reflector.sessions.pair.deadlines import Deadlines
from medusa.session import Side


@dataclass
class Link:
    """A connection of which only the answers exist. Its keepalive begins at 0, with an interval of 15 s."""

    side: Side = Side.CLIENT
    open: bool = True
    plain: bool = False
    passes_fin: bool = False
    paused: bool = False
    hung_up: bool = False
    sent: int = 100
    backlog: int = 0
    unacknowledged: float = 0.0
    active: float = 0.0
    draining: bool = False
    unfinished: Unfinished | None = None
    rate: float = 0.0  # at which the unfinished message arrives
    turns: bool = False  # it ends, and the next one begins
    keepalive: Keepalive = field(default_factory=lambda: Keepalive(15.0, 0.0))

    def is_draining(self) -> bool:
        return self.draining

    def arrive(self, seconds: float) -> None:
        """Lets so many seconds' worth of the unfinished message arrive."""
        if self.unfinished is not None:
            number, arrived = self.unfinished
            self.unfinished = Unfinished(number + self.turns, arrived + round(self.rate * seconds))


def deadlines(**config: float) -> Deadlines:
    return Deadlines(ReflectorConfig(timeouts=Timeouts(wait_interval=2.0, close_timeout=5.0), **config), 0.0)  # type: ignore[arg-type]
