from __future__ import annotations

import pytest

from medusa.client.launchers.kubernetes.cleanup import delete_all
from medusa.client.launchers.kubernetes.cluster.errors import KubeError
from tests.waiting import Clock

JOB, SECRET = ("job", "a"), ("secret", "a")
AWAY, FORBIDDEN = KubeError("away"), KubeError("forbidden", 403)


class Cluster:
    """Answers each delete with the next of `answers`, and after the last with `not found`."""

    def __init__(self, *answers: KubeError | None) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []

    def delete(self, kind: str, name: str) -> None:
        self.asked.append((kind, name))
        error = self.answers.pop(0) if self.answers else KubeError("not found", 404)
        if error is not None:
            raise error


@pytest.mark.parametrize(
    ("answers", "asked", "left"),
    [
        ([None, None], [JOB, SECRET], {}),
        ([None], [JOB, SECRET], {}),
        ([AWAY, AWAY, None], [JOB, JOB, JOB, SECRET], {}),
        ([KubeError("busy", 429), None], [JOB, SECRET, JOB], {}),
        ([KubeError("broken", 503), KubeError("broken", 500)], [JOB, SECRET, JOB, SECRET], {}),
        ([FORBIDDEN, None], [JOB, SECRET], {JOB: FORBIDDEN}),
        ([AWAY] * 100, [JOB] * 4, {JOB: AWAY, SECRET: AWAY}),
    ],
)
def test_deleting_is_tried_again_for_three_seconds_unless_it_is_refused(
    answers: list[KubeError | None], asked: list[tuple[str, str]], left: dict[tuple[str, str], KubeError]
) -> None:
    cluster = Cluster(*answers)
    assert delete_all(cluster, [JOB, SECRET], 3, 1, Clock()) == left
    assert cluster.asked == asked
