from __future__ import annotations

import pytest

from medusa.client.launchers.base import JobState
from medusa.client.session.walltime import WalltimeNotices, seconds_left, words


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (58.4, "58 s"),
        (60, "1 min"),
        (298, "4 min 58 s"),
        (3600, "1 h"),
        (3900, "1 h 5 min"),
        (183_600, "2 d 3 h"),
        (172_805, "2 d"),
    ],
)
def test_words(seconds: float, text: str) -> None:
    assert words(seconds) == text


class Job:
    """A job whose end the test sets; counts how often it is asked."""

    def __init__(self, ends_at: float | None = None) -> None:
        self.ends_at = ends_at
        self.polls = 0
        self.halted = False
        self.notices = WalltimeNotices(self.poll, 5.0)

    def poll(self) -> JobState:
        self.polls += 1
        return JobState(alive=True, words="runs", ends_at=self.ends_at, halted=self.halted)


def test_each_notice_is_given_once_and_the_job_is_asked_at_intervals() -> None:
    job = Job()
    assert job.notices.check(0) is None
    job.ends_at = 1003
    assert [now for now in range(1000) if job.notices.check(now)] == [703, 943]
    assert job.polls == 201  # every five seconds, and at the first notice


def test_a_job_with_little_time_gets_the_nearest_notice_alone() -> None:
    job = Job(30)
    assert job.notices.check(0) == "the job's time is over in 30 s; what runs then is ended"
    assert job.notices.check(5) is None


def test_more_time_brings_the_same_notice_again() -> None:
    job = Job(300)
    assert job.notices.check(0)
    job.ends_at = 1000
    assert job.notices.check(10) is None
    assert job.notices.check(700)


def test_an_end_that_is_rounded_up_and_down_brings_one_notice() -> None:
    job = Job()
    given = []
    for now in range(100):
        job.ends_at = 350 + now % 2
        given += [now] if job.notices.check(now) else []
    assert given == [50]


def test_the_deadline_is_the_next_question_or_notice() -> None:
    job = Job(400)
    deadlines = []
    for now in (0, 98, 100):
        job.notices.check(now)
        deadlines.append(job.notices.deadline)
    assert deadlines == [5, 100, 105]


def test_no_time_is_left_after_the_end() -> None:
    assert seconds_left(JobState(alive=True, words="", ends_at=5), 7) == 0


def test_a_job_that_is_stopped_for_now_is_told_once() -> None:
    job = Job(200)
    job.halted = True
    assert job.notices.check(0) == "the job system has stopped the job's programs for now: runs"
    assert "the job's time is over" in str(job.notices.check(5))
    assert job.notices.check(10) is None
