"""What the supervisor tells the program that has started the reflector as a service, such as systemd."""

from __future__ import annotations

import math
from typing import Protocol


class ServiceManager(Protocol):
    """The interface to the program that has started the reflector as a service.

    Attributes:
        due: the time.monotonic() at which to call `beat` next.
    """

    @property
    def due(self) -> float: ...

    def ordered(self, order: bytes) -> None:
        """Tells the service manager that the workers have got `order`, which is DRAIN or RELOAD."""

    def beat(self) -> None:
        """Tells the service manager that the supervisor still runs. Does nothing if it is called before `due`."""


class NoManager:
    """The ServiceManager to use if no service manager has started the reflector. It does nothing."""

    due = math.inf

    def ordered(self, order: bytes) -> None:
        """Does nothing."""

    def beat(self) -> None:
        """Does nothing."""
