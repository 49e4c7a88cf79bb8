from __future__ import annotations

import pytest

from medusa.client.launchers.kubernetes.cleanup import remove
from medusa.client.launchers.kubernetes.errors import KubeError

JOB, SECRET = ("job", "a"), ("secret", "a")


class Cluster:
    """Answers a delete with what is next in `answers`; nothing is there when they are used up."""

    def __init__(self, *answers: KubeError | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []
        self.now = 0.0

    def delete(self, kind: str, name: str) -> None:
        self.asked.append((kind, name))
        error = self.answers.pop(0) if self.answers else KubeError("not found", 404)
        if error is not None:
            raise error

    def clock(self) -> float:
        return self.now

    def nap(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([None, None], [JOB, SECRET]),
        ([None], [JOB, SECRET]),
        ([KubeError("away"), KubeError("away"), None], [JOB, JOB, JOB, SECRET]),
        ([KubeError("busy", 429), None], [JOB, SECRET, JOB]),
        ([KubeError("broken", 503), KubeError("broken", 500)], [JOB, SECRET, JOB, SECRET]),
    ],
)
def test_until_nothing_is_left(answers: list[KubeError | None], asked: list[tuple[str, str]]) -> None:
    cluster = Cluster(*answers)
    assert remove(cluster, [JOB, SECRET], 10, cluster.clock, cluster.nap) == {}
    assert cluster.asked == asked


def test_a_refusal_is_not_asked_again() -> None:
    refusal = KubeError("forbidden", 403)
    cluster = Cluster(refusal, None)
    assert remove(cluster, [JOB, SECRET], 10, cluster.clock, cluster.nap) == {JOB: refusal}
    assert cluster.asked == [JOB, SECRET]
    assert cluster.now == 0


def test_patience_ends() -> None:
    away = [KubeError("away") for _ in range(100)]
    cluster = Cluster(*away)
    left = remove(cluster, [JOB, SECRET], 3, cluster.clock, cluster.nap)
    assert list(left) == [JOB, SECRET]
    assert cluster.asked == [JOB] * 4
