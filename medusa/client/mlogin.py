"""Runs mlogin: starts a reflector and a job, runs the session, undoes everything, and returns the exit status.

medusa/commands/mlogin.py parses the arguments. This module and what it imports at its top are imported before the
reflector and the job start, so they are kept small: what only the session needs is imported while these start.
"""

from __future__ import annotations

import contextlib
import functools
import os
from typing import TYPE_CHECKING

from medusa.client import launchers
from medusa.client.choice import Choice
from medusa.client.embedded_reflector import EmbeddedReflector, embedded_reflector
from medusa.client.ledger import guarded_ledger
from medusa.client.login.preparation import cannot_attach, cannot_detach, job_environ
from medusa.client.login.wish import Wish
from medusa.client.outcome import INTERRUPTED, OUTCOME_UNKNOWN, OWN_ERROR, Failure, Interrupted, SessionState
from medusa.client.settings import Settings
from medusa.client.terminal.messages import Messages, is_dumb
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.tty import carried_modes
from medusa.protocol.printable import printable
from medusa.protocol.record import replace

if TYPE_CHECKING:
    from medusa.client.forwarding.forwarder import Forwarder
    from medusa.client.launchers.base import Launcher
    from medusa.client.ledger import Ledger
    from medusa.client.login.on_pipes import MakeSession


def run(settings: Settings, make: MakeSession | None = None) -> int:
    """Runs mlogin, undoes everything that it started or changed, and returns its exit status.

    Args:
        make: makes what takes the place of a command on pipes; None for such a command. With it, `settings.pty` must
            be False.
    """
    shares = settings.shares_terminal
    messages = Messages(quiet=settings.quiet, dumb=shares or is_dumb(), prog=settings.prog)
    messages.raw = shares and os.isatty(2)
    login = Login(settings, messages, make)
    try:
        return login.run()
    except Failure as failure:
        messages.error(str(failure))
        return failure.status
    except Interrupted as interrupted:
        messages.error(str(interrupted))
        return OUTCOME_UNKNOWN if login.state.started else interrupted.status
    except KeyboardInterrupt:  # SIGINT came before or after the `with` block of Signals
        messages.error("ended by SIGINT")
        return OUTCOME_UNKNOWN if login.state.started else INTERRUPTED
    except Exception:  # noqa: BLE001 - mlogin always ends with one of its own exit statuses
        import traceback

        lines = traceback.format_exc().splitlines()
        messages.error("\n".join(["internal error", *map(printable, lines)]))
        return OUTCOME_UNKNOWN if login.state.started else OWN_ERROR


class Login:
    """Carries out one run of mlogin. Call `run` once.

    Attributes:
        state: what has become of the session so far.
    """

    def __init__(self, settings: Settings, messages: Messages, make: MakeSession | None = None) -> None:
        self._settings = replace(settings, tell=messages.error)
        self._messages = messages
        self._modes = carried_modes(shared=not os.isatty(1))  # before anything changes them
        self._wish = Wish(settings, messages, self._modes)
        self._make = make
        self.state = SessionState()

    def run(self) -> int:
        """Runs mlogin. Returns the exit status that the agent reported; 0 for `mlogin -d`, which does not wait for it.

        Raises:
            Failure: the agent reported no exit status. The attribute `status` of the exception is mlogin's exit status.
            Interrupted: a signal asked mlogin to end.
        """
        with contextlib.ExitStack() as stack:
            ledger = stack.enter_context(guarded_ledger())
            signals = stack.enter_context(Signals())
            if refusal := cannot_attach(self._settings):
                raise Failure(refusal)
            forwarder = self._forwarder(stack, signals) if self._settings.forwards else None
            choice = Choice(self._settings, self._messages, signals)
            choice.find()
            self._settings = choice.settings
            launcher = self._launcher(stack, ledger)
            reflector = self._reflector(stack, ledger, launcher)
            launcher.prepare(job_environ(embedded=reflector is not None or self._settings.embedded))
            from medusa.client.login.course import Course  # takes long to import

            course = Course(self._settings, self._messages, ledger, signals, launcher, self._wish, self.state)
            return course.run(choice, reflector, forwarder, self._modes, self._make)

    def _forwarder(self, stack: contextlib.ExitStack, signals: Signals) -> Forwarder:
        """Returns what forwards connections in the session. It listens already, so that a port in use is noticed."""
        from medusa.client.forwarding.forwarder import forwarder_for  # takes long to import

        forwarder = forwarder_for(self._settings, self._messages)
        stack.callback(forwarder.close)
        with signals.interruptible():
            forwarder.bind()
        return forwarder

    def _launcher(self, stack: contextlib.ExitStack, ledger: Ledger) -> Launcher:
        """Makes the launcher and returns it. When `stack` is closed, the launcher ends its job.

        It does not end the job in two cases: the guard process is to do so, or the user has left the session.
        """
        inner = contextlib.ExitStack()
        stack.push(lambda *exc: None if self.state.left_to_guard or self.state.left else inner.__exit__(*exc))
        return inner.enter_context(launchers.find(self._settings.launcher)(self._settings, ledger))

    def _reflector(self, stack: contextlib.ExitStack, ledger: Ledger, launcher: Launcher) -> EmbeddedReflector | None:
        """Starts a reflector if the user named none, and returns it. It is not ready yet."""
        if (self._settings.reflector or launcher.front_door) is not None:
            return None
        if self._settings.detach:
            raise Failure(cannot_detach(self._settings, embedded=True))
        reflector = stack.enter_context(embedded_reflector(ledger, timeouts=self._settings.timeouts))
        stack.push(functools.partial(self._tell_its_end, reflector))
        return reflector

    def _tell_its_end(self, reflector: EmbeddedReflector, kind: type[BaseException] | None, *_: object) -> None:
        """Tells the user that the embedded reflector has ended, if a Failure ends mlogin: that is the reason for it."""
        if kind is not None and issubclass(kind, Failure) and (words := reflector.end()):
            self._messages.error(words)
