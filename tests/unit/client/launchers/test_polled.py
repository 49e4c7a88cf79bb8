from __future__ import annotations

from typing import Any

from medusa.client.launchers.base import JobRequest
from medusa.client.launchers.polled import Job


class Watched(Job):
    """Keeps what another thread would find at the moment when it sees that the job is over."""

    found: list[str]

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "state" and not value.alive:
            self.found = [value.words, *self.remarks]

    def start(self, request: JobRequest) -> None:
        raise NotImplementedError

    def look(self, *, waiting: bool) -> None:
        raise NotImplementedError

    def close(self, *, clean: bool) -> list[str]:
        raise NotImplementedError


def test_the_remarks_are_there_when_the_job_is_over() -> None:
    job = Watched("queued")
    job.over("was cancelled", ["by root", "at noon"])
    assert job.found == ["was cancelled", "by root", "at noon"]
    job.fail("no room\nnone at all")
    assert job.found == ["failed", "no room", "none at all"]
