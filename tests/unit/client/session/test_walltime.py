from __future__ import annotations

import pytest

from medusa.client.launchers.base import JobState
from medusa.client.session.walltime import WalltimeNotices, seconds_left, words


@pytest.mark.parametrize(
    ("seconds", "said"),
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
def test_words(seconds: float, said: str) -> None:
    assert words(seconds) == said


class Job:
    ends_at: float | None = None

    def poll(self) -> JobState:
        return JobState(alive=True, words="runs", ends_at=self.ends_at)


def test_each_warning_is_told_once() -> None:
    job = Job()
    walltime = WalltimeNotices(job.poll, 5.0)
    assert walltime.warning(0) is None
    job.ends_at = 1000
    told = [now for now in range(1000) if walltime.warning(now)]
    assert told == [700, 940]


def test_a_late_start_is_told_of_the_nearest_end_alone() -> None:
    job = Job()
    job.ends_at = 30
    walltime = WalltimeNotices(job.poll, 5.0)
    assert walltime.warning(0) == "the job's time is over in 30 s; what runs then is ended"
    assert walltime.warning(1) is None


def test_more_time_is_warned_of_again() -> None:
    job = Job()
    walltime = WalltimeNotices(job.poll, 5.0)
    job.ends_at = 300
    assert walltime.warning(0)
    job.ends_at = 1000
    assert walltime.warning(10) is None
    assert walltime.warning(700)


def test_an_end_that_is_rounded_now_up_and_now_down_is_told_once() -> None:
    job = Job()
    walltime = WalltimeNotices(job.poll, 5.0)
    told = []
    for now in range(100):
        job.ends_at = 350 + now % 2
        told += [now] if walltime.warning(now) else []
    assert told == [50]


def test_the_next_look_comes_with_the_next_warning() -> None:
    job = Job()
    walltime = WalltimeNotices(job.poll, 5.0)
    assert walltime.patience(0) == 5
    job.ends_at = 400
    assert (walltime.patience(0), walltime.patience(98), walltime.patience(100)) == (5, 2, 5)


def test_a_time_that_is_over_is_over() -> None:
    assert seconds_left(JobState(alive=True, words="", ends_at=5), 7) == 0
