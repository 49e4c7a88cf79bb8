from __future__ import annotations

import gevent
from structlog.types import EventDict

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


def test_a_check_that_fails_does_not_keep_the_last_answer(clock: Clock, logs: list[EventDict]) -> None:
    answers: list[str] = [""]
    readiness = Readiness(answers.pop, 1.0, clock)
    assert readiness.reason() == ""
    clock.now += 1.0
    assert readiness.reason() == "the check has failed; the log says why"
    clock.now += 1.0
    answers.append("")
    assert readiness.reason() == ""
