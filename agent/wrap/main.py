"""`agent.sh wrap -- COMMAND`: the job's own step, and a terminal in its place if it fails.

Nothing in here may make a step fail or hang that would not have without it: whatever goes wrong on the way to a
session is said in one line, and the status is the step's own.
"""

from __future__ import annotations

import os
import shlex
import signal
import time
from typing import Dict, List, Mapping, Optional, Tuple, Union

from agent import config
from agent.config import Config, ConfigError
from agent.dial import CONNECT_TIMEOUT, Unreachable, connector, jitter
from agent.log import log
from agent.session import process_tree
from agent.session.child import adopt_orphans, no_core_dumps
from agent.session.command import SECRET_PREFIX, to_text
from agent.session.loop import Session
from agent.signals import STOPPING, Stopped, StopSignals
from agent.wrap import step
from agent.wrap.options import Meeting, invitation, plan
from agent.wrap.step import ENDS_STEP, PASSED_ON, Outcome, Step
from agent.wrap.tail import Tail, shown
from agent.wrap.wait import hold
from medusa.guard import Guard
from medusa.protocol.printable import printable
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused

LC_CTYPE = "MEDUSA_LC_CTYPE"
"""Where the archive's stub leaves that variable's value behind a `=`, or nothing if it was not set: Python, in a locale
of plain ASCII, sets it to one of its own."""

TITLE = 200
"""Characters of the command that are shown."""
STALE = 60.0
"""Seconds after which a URL that is refused may have expired, and its command is asked for another."""
_FORBIDDEN = (401, 403)

EXIT_USAGE = 2
INTERRUPTED = 128 + signal.SIGINT

PATIENCE = 5.0
"""Seconds for a line that the user must see: the step may just have filled what reads our log."""


def main(argv: List[str], assets: str = config.ASSETS) -> int:
    """Run the command behind `--`; its status."""
    words, command = _split(argv)
    environ = {to_text(name): to_text(value) for name, value in os.environb.items()}
    planned: Union[Meeting, ConfigError]
    try:
        planned = plan(words, environ, assets)
    except ConfigError as error:
        planned = error
    except OSError as error:
        planned = ConfigError(str(error))
    if not command:
        log(
            str(planned) if isinstance(planned, ConfigError) else "wrap: no command; usage: wrap [OPTION...] -- COMMAND"
        )
        return EXIT_USAGE
    if isinstance(planned, ConfigError):
        log("%s; should the step fail, there will be no session" % planned)
    try:
        guard = Guard.start(_clean_up)
    except OSError as error:
        return _alone(command, error)
    heeded = [number for number in PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN]
    signals = StopSignals([n for n in heeded if n in ENDS_STEP], [n for n in heeded if n not in ENDS_STEP])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    try:
        status = Wrap(command, planned, environ, signals, guard, assets).run()
    finally:
        guard.done()
        signals.close()
    if status == INTERRUPTED:
        # A shell goes on behind a status, and not behind a Control-C.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return status


def _alone(command: List[str], error: OSError) -> int:
    """Become the step: there is no room for a process beside it."""
    log("%s; the step runs by itself" % error.strerror)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    try:
        os.execvpe(command[0], command, _environment(os.environb))
    except OSError as failed:
        log("%s: %s" % (command[0], failed.strerror))
        return step.NOT_FOUND if isinstance(failed, FileNotFoundError) else step.NOT_EXECUTABLE


def _split(argv: List[str]) -> Tuple[List[str], List[str]]:
    at = argv.index("--") if "--" in argv else len(argv)
    return argv[:at], argv[at + 1 :]


def _clean_up(lines: List[str]) -> None:
    step.end_told(lines)
    process_tree.end_told(lines)


class Wrap:
    """One step and what follows it.

    Args:
        planned: where to meet, or why there is no such place.
        environ: all of our own environment.
    """

    def __init__(
        self,
        command: List[str],
        planned: Union[Meeting, ConfigError],
        environ: Dict[str, str],
        signals: StopSignals,
        guard: Guard,
        assets: str,
    ) -> None:
        self._command, self._planned, self._environ = command, planned, environ
        self._signals, self._guard, self._assets = signals, guard, assets
        self._tail = Tail()

    def run(self) -> int:
        """Returns the step's status, whatever becomes of the session."""
        outcome = Step(self._command, _environment(os.environb), self._signals, self._guard, self._tail).run()
        if outcome.status == 0:
            return 0
        no_core_dumps()
        try:
            self._signals.raising = True
            self._signals.check()
            self._meet(outcome)
        except (ConfigError, Unreachable) as error:
            log("step %s; no session: %s" % (outcome.words, error), PATIENCE)
        except Stopped as stopped:
            log("step %s; stopped by %s" % (outcome.words, signal.Signals(stopped.number).name))
        except Exception as error:  # noqa: BLE001  (whatever it is, the step's status is what counts)
            log("step %s; no session: %s" % (outcome.words, type(error).__name__))
        finally:
            self._signals.raising = False
        return outcome.status

    def _meet(self, outcome: Outcome) -> None:
        if isinstance(self._planned, ConfigError):
            raise self._planned
        if self._planned.hold == 0:
            raise ConfigError("not asked for")
        if outcome.stopped:
            raise ConfigError("its end was asked for")
        link = self._hold(self._planned, outcome)
        self._signals.raising = False
        log("connected")
        adopt_orphans()
        environ = {to_text(name): to_text(value) for name, value in _environment(os.environb).items()}
        title = "%s (status %d)" % (printable(" ".join(map(shlex.quote, self._command)), TITLE), outcome.status)
        session = Session(link, self._signals, self._guard, environ, log)
        session.preface = shown(self._tail.bytes(), title)
        session.run()

    def _hold(self, meeting: Meeting, outcome: Outcome) -> Transport:
        place = _Place(meeting, self._environ)
        config.delete_asset(place.found.path, self._environ, log, self._assets)
        text = "step %s; holding for %.0f s; to look into it: %s"
        log(text % (outcome.words, meeting.hold, invitation(place.found.signed_url)), PATIENCE)
        return hold(place.attempt, meeting.hold, log, jitter)


class _Place:
    """Where to dial. A URL that a command has signed is signed anew when it has expired."""

    def __init__(self, meeting: Meeting, environ: Mapping[str, str]) -> None:
        self._meeting, self._environ = meeting, environ
        self.found = self._ask()

    def _ask(self) -> Config:
        self._since = time.monotonic()
        return self._meeting.url(self._environ)

    def attempt(self, left: float) -> Transport:
        """Dial, for no longer than `left` seconds."""
        timeout = max(1.0, min(CONNECT_TIMEOUT, left))
        try:
            return connector(self.found.signed_url, self.found.insecure_tls, timeout)()
        except ConnectRefused as refused:
            fresh = time.monotonic() - self._since < STALE
            if refused.status not in _FORBIDDEN or fresh or self._meeting.command is None:
                raise
            self.found = self._ask()
            return connector(self.found.signed_url, self.found.insecure_tls, timeout)()


def _environment(environ: Mapping[bytes, bytes]) -> Dict[bytes, bytes]:
    """What the step is given: our own, without what is meant for us or was made by our interpreter."""
    prefix, mark = SECRET_PREFIX.encode(), LC_CTYPE.encode()
    env = {name: value for name, value in environ.items() if not name.startswith(prefix)}
    locale: Optional[bytes] = environ.get(mark)
    if locale is not None:
        env.pop(b"LC_CTYPE", None)
        env.update({b"LC_CTYPE": locale[1:]} if locale else {})
    return env
