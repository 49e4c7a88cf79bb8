"""Remembers for some seconds which agents have asked for a session that does not exist yet.

Such an agent was told to ask again later. For example, `agent.sh wrap` asks for a session after a step of its job has
failed, and keeps the job alive until a user opens the session. No I/O.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from medusa.protocol.http.about import NOTHING, About
from medusa.reflector.session_name import SessionName

PER_LOGIN = 256
"""The maximum number of session names that are remembered for one login (the name of an account).

All sessions without a login count as sessions of one login.
"""

IN_ALL = 4096
"""The maximum number of names that are remembered in all."""


class Held(NamedTuple):
    """Remembers an agent that has asked for a session which does not exist yet.

    Attributes:
        name: the name of the session.
        agent: the agent's address.
        since: when the agent first asked for the session, in seconds of HeldSessions' clock.
        asked: when the agent last asked for the session, in seconds of the same clock.
        about: how the agent describes itself.
    """

    name: SessionName
    agent: str
    since: float
    asked: float
    about: About = NOTHING


class HeldSessions:
    """Remembers the sessions that agents have asked for within the last `timeout` seconds.

    The number of sessions is limited for each login (the name of an account), and in all. Beyond a limit, one session
    is forgotten: of those of that login, or of the login with the most sessions, the one whose agent has not asked for
    the longest time. `clock` returns monotonic seconds.
    """

    def __init__(
        self,
        timeout: float,
        clock: Callable[[], float] = time.monotonic,
        per_login: int = PER_LOGIN,
        in_all: int = IN_ALL,
    ) -> None:
        self._timeout, self._clock = timeout, clock
        self._per_login, self._in_all = per_login, in_all
        self._logins: dict[str, OrderedDict[SessionName, Held]] = {}  # of each login, the last that asked is the last

    def note(self, name: SessionName, agent: str, about: About = NOTHING) -> None:
        """Remembers that the agent at the address `agent` asks for the session `name` now. `about`: its description."""
        now = self._clock()
        known = self._logins.setdefault(name.login, OrderedDict())
        before = known.pop(name, None)
        fresh = before is not None and self._is_fresh(before, now)
        known[name] = Held(name, agent, before.since if before is not None and fresh else now, now, about)
        if len(known) > self._per_login:
            known.popitem(last=False)
        if len(self) > self._in_all:
            self._make_room(now)

    def forget(self, name: SessionName) -> None:
        """Forgets the session `name`, because its agent has a client now. Idempotent."""
        known = self._logins.get(name.login, OrderedDict())
        known.pop(name, None)
        if not known:
            self._logins.pop(name.login, None)

    def all(self, login: str | None = None) -> list[Held]:
        """Returns a list of the remembered sessions of `login`, or of all logins if `login` is None."""
        now = self._clock()
        self._forget_old(now)
        known = self._logins if login is None else {login: self._logins.get(login, OrderedDict())}
        return [held for names in known.values() for held in names.values()]

    def age(self, moment: float) -> float:
        """Returns how many seconds ago `moment` was. `moment`: a time of this object's clock, such as Held.since."""
        return max(0.0, self._clock() - moment)

    def __len__(self) -> int:
        """Returns how many sessions are remembered."""
        return sum(map(len, self._logins.values()))

    def _is_fresh(self, held: Held, now: float) -> bool:
        return now - held.asked < self._timeout

    def _forget_old(self, now: float) -> None:
        for names in list(self._logins.values()):
            while names and not self._is_fresh(first := next(iter(names.values())), now):
                self.forget(first.name)

    def _make_room(self, now: float) -> None:
        self._forget_old(now)
        if len(self) > self._in_all:
            most = max(self._logins.values(), key=len)
            self.forget(next(iter(most)))
