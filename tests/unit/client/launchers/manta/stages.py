"""A job of a Manta, and the API that it is started with."""

from __future__ import annotations

from collections.abc import Mapping

from medusa.client.cleanup.signed_request import SignedRequest
from medusa.client.cleanup.undo import left_open
from medusa.client.launchers.base import JobState, MantaJobOptions
from medusa.client.launchers.manta.job import MantaJob
from medusa.client.ledger import Ledger
from medusa.client.timeouts import DEFAULT_TIMEOUTS
from tests.unit.client.launchers.manta.fake_api import FakeApi, request
from tests.unit.client.peers import Told
from tests.waiting import Clock

DONE = {"state": "done", "stats": {}}
FAILED = {"state": "done", "stats": {"errors": 1}}
RENEWAL = DEFAULT_TIMEOUTS.renewal_interval


class Stage:
    """A job, its Manta, its guard and its clock."""

    def __init__(self, options: MantaJobOptions | None = None, target: str | None = None) -> None:
        self.api, self.clock, self.guard = FakeApi(), Clock(), Told()
        ledger = Ledger(self.guard)
        self.job = MantaJob(self.api, ledger, "jill", options or MantaJobOptions(), target, clock=self.clock)

    def started(self) -> Stage:
        self.job.create()
        self.job.start(request())
        return self

    def look(self, status: Mapping[str, object] | None = None, *, waiting: bool = True) -> tuple[JobState, list[str]]:
        """The job's state and remarks after a look, at which the Manta answers `status`."""
        self.api.status = dict(status or self.api.status)
        self.job.look(waiting=waiting)
        return self.job.state, self.job.remarks

    def guarded(self) -> list[tuple[str, str, str]]:
        """Method, URL and date of the requests that the guard would send, in order."""
        requests = [SignedRequest.parse(value) for kind, value in left_open(self.guard.lines) if kind == "request"]
        return [(request.method, request.url, request.headers["Date"]) for request in requests]


def alive(words: str, problem: str | None = None) -> tuple[JobState, list[str]]:
    return JobState(alive=True, words=words, problem=problem), []


def over(words: str, *remarks: str) -> tuple[JobState, list[str]]:
    return JobState(alive=False, words=words), list(remarks)
