"""What a test can change while the cluster runs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Knobs:
    """Attributes:
    unschedulable: the scheduler's message if it finds no node; None if it finds one.
    quota: the API's message if it refuses pods; None if it accepts them.
    pulling: pulling an image does not end while this is True.
    images: name -> `full` (this machine's programs), `bare` (busybox alone) or `empty`; no other can be pulled.
    away: how the API fails to answer: `reset` (the connection breaks), `silent` (nothing comes), `unavailable` (503,
        as from a load balancer); None if it answers.
    lost: pairs of verb and resource: the next such request takes effect, but its answer is lost.
    forbidden: pairs of verb and full resource that no user may use, whatever the role says.
    """

    unschedulable: str | None = None
    quota: str | None = None
    pulling: bool = False
    images: dict[str, str] = field(
        default_factory=lambda: {"debian:12": "full", "busybox:1": "bare", "registry.test/nothing:1": "empty"}
    )
    away: str | None = None
    lost: list[tuple[str, str]] = field(default_factory=list)
    forbidden: set[tuple[str, str]] = field(default_factory=set)

    def reset(self) -> None:
        """Puts back all defaults."""
        vars(self).update(vars(Knobs()))
