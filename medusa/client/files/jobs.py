"""Carries out many pieces of work at once. Each is a generator that yields what it waits for (see sftp.py)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from medusa.client.files.sftp import Sftp, Steps, Ticket

MAX_JOBS = 64
"""The most pieces of work at once. So many files are open at a time, here and in the job."""

MAX_QUEUED = 1024 * 1024
"""Bytes of requests that wait to be sent. While there are more, no new piece of work is begun."""


class Jobs:
    """The pieces of work of one copy. Those that were added last are begun first, so that few directories are open.

    Attributes:
        running: the number of pieces of work that have begun.
    """

    def __init__(self, sftp: Sftp) -> None:
        self._sftp = sftp
        self._sources: list[Iterator[Steps]] = []
        self.running = 0

    def add(self, jobs: Iterable[Steps]) -> None:
        """Adds pieces of work. They are made one by one, each not before it can begin."""
        self._sources.append(iter(jobs))

    @property
    def over(self) -> bool:
        """True if all work is done."""
        return not self._sources and not self.running

    def answered(self, tickets: Sequence[Ticket]) -> None:
        """Goes on with the work that has waited for these tickets, which have their answers now."""
        for ticket in tickets:
            if ticket.waiting is not None:
                self._go_on(ticket.waiting, ticket)
        self.begin()

    def begin(self) -> None:
        """Begins as much work as may be done at once."""
        while self._sources and self.running < MAX_JOBS and self._sftp.queued < MAX_QUEUED:
            source = self._sources[-1]
            job = next(source, None)
            if job is None:
                self._sources.remove(source)
            else:
                self.running += 1
                self._go_on(job, None)

    def _go_on(self, job: Steps, ticket: Ticket | None) -> None:
        try:
            wanted = next(job) if ticket is None or ticket.answer is None else job.send(ticket.answer)
            while wanted.answer is not None:
                wanted = job.send(wanted.answer)
        except StopIteration:
            self.running -= 1
            return
        wanted.waiting = job
