from __future__ import annotations

import gevent

from medusa.reflector.admin.readiness import Readiness
from tests.waiting import Clock


def test_many_ask_and_one_question_is_put(clock: Clock) -> None:
    questions: list[float] = []

    def find_out() -> str:
        questions.append(clock.now)
        gevent.sleep(0)
        return f"answer {len(questions)}"

    readiness = Readiness(find_out, 1.0, clock)
    asking = [gevent.spawn(readiness.reason) for _ in range(100)]
    assert {greenlet.get() for greenlet in asking} == {"answer 1"}
    clock.now += 0.9
    assert readiness.reason() == "answer 1"
    clock.now += 0.1
    assert readiness.reason() == "answer 2"
    assert len(questions) == 2
