"""What a test can turn while the cluster runs."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Knobs:
    """Attributes:
    unschedulable: what the scheduler says instead of finding a node.
    quota: what the API says instead of taking a pod.
    pulling: images are being pulled, and that takes until it is False.
    images: name -> `full` (this machine's programs), `bare` (busybox alone) or `empty`; no other can be pulled.
    away: how the API does not answer: `reset` (the connection breaks), `silent` (nothing comes), `unavailable`
        (503, from whatever stands before it).
    lost: pairs of verb and resource: the next such request is done, and its answer does not come.
    forbidden: pairs of verb and full resource that nobody may, whatever his role.
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
