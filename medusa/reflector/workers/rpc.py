"""What an administrator sees of the other workers: their sessions and their numbers."""

from __future__ import annotations

from typing import Any

from medusa.reflector.admin.session_list import Entry, Listing
from medusa.reflector.metrics import Metrics
from medusa.reflector.session_name import SessionName
from medusa.reflector.workers.handoff import Colleagues

_SESSIONS, _KILL, _METRICS = "sessions", "kill", "metrics"


class Workforce:
    """Others (listing.py), of one reflector. A worker that does not answer is left out."""

    def __init__(self, colleagues: Colleagues) -> None:
        self._colleagues = colleagues

    def answer_for(self, listing: Listing, metrics: Metrics) -> None:
        """Tell the others what they ask of this one."""

        def kill(about: Any) -> bool:
            return listing.kill_local(SessionName(*about))

        self._colleagues.answers[_SESSIONS] = lambda _: listing.local()
        self._colleagues.answers[_KILL] = kill
        self._colleagues.answers[_METRICS] = lambda _: metrics.exposition().decode()

    def entries(self) -> list[Entry]:
        """See Others."""
        return [entry for entries in self._colleagues.ask_all(_SESSIONS) for entry in entries]

    def kill(self, name: SessionName) -> bool:
        """See Others."""
        owner = self._colleagues.owner(name)
        return owner is not None and bool(self._colleagues.ask(owner, _KILL, name))

    def metrics(self) -> list[str]:
        """Their expositions."""
        return list(self._colleagues.ask_all(_METRICS))
