from __future__ import annotations

from typing import Any

import pytest

from medusa.client.launchers.base import JobRequest, JobState, Settings
from medusa.client.launchers.polled import Job, PolledLauncher
from medusa.client.ledger import Ledger
from tests.waiting import wait_until


class Watched(Job):
    """Keeps what another thread would find at the moment when it sees that the job is over."""

    found: list[str]

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "state" and not value.alive:
            self.found = [value.words, *self.remarks]

    def start(self, request: JobRequest) -> None:
        self.over("was refused")

    def look(self, *, waiting: bool) -> None:
        raise NotImplementedError

    def close(self, *, clean: bool) -> list[str]:
        return [f"closed, clean: {clean}"]


class ForeignLauncher(PolledLauncher):
    """A launcher of another package, which does not know the record of times."""

    name = "foreign"
    system = "the system"

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        super().__init__(settings.tell)
        self.job = Watched("new")

    def describe(self) -> str:
        return "a job"

    def lost(self) -> str:
        return "see"


def test_the_remarks_are_there_when_the_job_is_over() -> None:
    job = Watched("queued")
    job.over("was cancelled", ["by root", "at noon"])
    assert job.found == ["was cancelled", "by root", "at noon"]
    job.fail("no room\nnone at all")
    assert job.found == ["failed", "no room", "none at all"]


def test_a_problem_leaves_the_rest_of_the_state_as_it_was() -> None:
    job = Watched("queued")
    job.report("running", ends_at=5.0)
    job.report_problem("no answer")
    assert job.state == JobState(alive=True, words="running", ends_at=5.0, problem="no answer")
    assert job.state.describe() == "running; no answer"
    job.report("running")
    assert job.state.describe() == "running"


@pytest.mark.parametrize("clean", [True, False])
def test_a_launcher_of_another_package_needs_no_times(clean: bool) -> None:
    said: list[str] = []
    with ForeignLauncher(Settings(tell=said.append), Ledger()) as launcher:
        launcher.submit(JobRequest(session_url=lambda lifetime: "http://r"))
        wait_until(lambda: not launcher.poll().alive, "the job's end")
        if clean:
            launcher.finish(5, clean=True)
            assert isinstance(launcher, ForeignLauncher)
            assert launcher.job.grace == 5
    assert said == [f"closed, clean: {clean}"]
