"""What a test can change while the cluster runs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Knobs:
    """Attributes:
    unschedulable: the scheduler's message if it finds no node; None if it finds one.
    pulling: pulling an image does not end while this is True.
    images: name -> `full` (this machine's programs) or `bare` (busybox alone); no other can be pulled.
    away: how the API fails to answer: `reset` (the connection breaks), `silent` (nothing comes), `unavailable` (503,
        as from a load balancer); None if it answers.
    forbidden: pairs of verb and full resource that no user may use, whatever the role says.
    """

    unschedulable: str | None = None
    pulling: bool = False
    images: dict[str, str] = field(default_factory=lambda: {"debian:12": "full", "busybox:1": "bare"})
    away: str | None = None
    forbidden: set[tuple[str, str]] = field(default_factory=set)

    def reset(self) -> None:
        """Puts back all defaults."""
        vars(self).update(vars(Knobs()))
