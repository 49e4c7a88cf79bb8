"""Runs mlogin: starts a reflector and a job, attaches, runs the session, and returns the exit status.

medusa/commands/mlogin.py parses the arguments.
"""

from __future__ import annotations

import contextlib
import functools
import os
import time
import traceback
from collections.abc import Callable, Iterator

from medusa.client import launchers
from medusa.client.choice import Choice
from medusa.client.cleanup.emulator import Emulator
from medusa.client.embedded_reflector import embedded_reflector
from medusa.client.forwarding.forwarder import forwarder_for
from medusa.client.launchers.base import Launcher
from medusa.client.ledger import Ledger
from medusa.client.login import words
from medusa.client.login.announced import announced
from medusa.client.login.guarded_ledger import guarded_ledger
from medusa.client.login.job_request import job_request
from medusa.client.login.on_pipes import MakeSession
from medusa.client.login.session_runner import SessionRunner, SessionState
from medusa.client.login.wait import wait_and_read, wait_for_agent
from medusa.client.login.wish import Wish
from medusa.client.outcome import (
    INTERRUPTED,
    OUTCOME_UNKNOWN,
    OWN_ERROR,
    Detached,
    Failure,
    GivenUp,
    Interrupted,
    TakenOver,
    status_of,
)
from medusa.client.queries import local
from medusa.client.session.detaching.leaving import Leaving
from medusa.client.session.input.user_input import UserInput
from medusa.client.session.reconnect import Dialer
from medusa.client.session.session_url import SessionUrl
from medusa.client.session.walltime import WalltimeNotices
from medusa.client.settings import Settings
from medusa.client.streams.lost_link.progress import Progress
from medusa.client.streams.lost_link.returning import Returning
from medusa.client.terminal.console import Console
from medusa.client.terminal.messages import Messages, is_dumb
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.stdout import Stdout
from medusa.client.terminal.tty import Terminal, carried_modes
from medusa.protocol.printable import printable
from medusa.protocol.record import replace
from medusa.transports.link import Link


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
        self._timeouts = settings.timeouts
        self._messages = messages
        self._modes = carried_modes(shared=not os.isatty(1))  # before anything changes them
        self._wish = Wish(settings, messages, self._modes)
        self._make = make
        self._forwarder = forwarder_for(settings, messages)
        self.state = SessionState()
        self._reflector_over: Callable[[], bool] = lambda: False  # none takes the place of an embedded one

    def run(self) -> int:
        """Runs mlogin. Returns the exit status that the agent reported; 0 for `mlogin -d`, which does not wait for it.

        Raises:
            Failure: the agent reported no exit status. The attribute `status` of the exception is mlogin's exit status.
            Interrupted: a signal asked mlogin to end.
        """
        with contextlib.ExitStack() as stack:
            ledger = stack.enter_context(guarded_ledger())
            signals = stack.enter_context(Signals())
            if refusal := words.cannot_attach(self._settings):
                raise Failure(refusal)
            stack.callback(self._forwarder.close)
            with signals.interruptible():
                self._forwarder.bind()
            choice = Choice(self._settings, self._messages, signals)
            choice.find()
            self._settings = choice.settings
            launcher = self._launcher(stack, ledger)
            dialer = self._dialer(stack, ledger, signals, launcher, choice)
            # mlogin attaches before the job starts, because the reflector refuses an agent without a client.
            connecting = f"connecting to {printable(dialer.url.base)}"
            link = Link(dialer.connect(lambda: self._messages.waiting(connecting)), time.monotonic)
            stack.callback(link.abort)
            console = self._console(stack, ledger, signals)
            launcher.submit(job_request(self._settings, dialer))
            typed = self._wait(link, launcher, console, dialer)
            launcher.joined()
            stack.enter_context(announced(self._settings, launcher, dialer, ledger))
            returning = self._returning(dialer, launcher)
            try:
                keep = functools.partial(ledger.keep, launcher.keep)
                return self._run_session(link, launcher, dialer, console, keep, typed, returning)
            except Detached:
                told = not returning.unsaid
                raise Detached(words.detached(self._settings, dialer, told=told)) from None
            finally:
                returning.close()
                self._leave_to_guard(ledger, launcher, dialer, returning)

    def _launcher(self, stack: contextlib.ExitStack, ledger: Ledger) -> Launcher:
        """Makes the launcher and returns it. When `stack` is closed, the launcher ends its job.

        It does not end the job in two cases: the guard process is to do so, or the user has left the session.
        """
        inner = contextlib.ExitStack()
        stack.push(lambda *exc: None if self.state.left_to_guard or self.state.left else inner.__exit__(*exc))
        return inner.enter_context(launchers.find(self._settings.launcher)(self._settings, ledger))

    def _console(self, stack: contextlib.ExitStack, ledger: Ledger, signals: Signals) -> Console:
        emulator = Emulator(ledger.note) if os.isatty(1) and not is_dumb() else None
        stdout = Stdout(1, emulator)
        stack.callback(stdout.close)
        untouched = self._wish.pipes or self._settings.detach
        terminal = stack.enter_context(Terminal(0, ledger, shared=not stdout.is_tty, untouched=untouched))
        if not untouched and (warning := words.changed_data(self._settings, terminal, stdout)):
            self._messages.say(warning)
        return Console(terminal, stdout, self._messages, signals)

    def _dialer(
        self, stack: contextlib.ExitStack, ledger: Ledger, signals: Signals, launcher: Launcher, choice: Choice
    ) -> Dialer:
        """Creates the job, and returns the Dialer, which attaches to the job's session.

        Starts a reflector if the user named none.
        """
        base = self._settings.reflector or launcher.front_door
        embedded = base is None or self._settings.embedded
        if base is None and self._settings.detach:
            raise Failure(words.cannot_detach(self._settings, embedded=True))
        if base is None:
            with self._messages.waiting("starting a reflector"):
                reflector = stack.enter_context(embedded_reflector(ledger, signals, timeouts=self._timeouts))
            base, self._reflector_over = reflector
        elif embedded and self._settings.session is not None:  # the one of another mlogin, which ends with it
            self._reflector_over = functools.partial(local.is_over, self._settings.session)
        with signals.interruptible(), signals.stoppable(), signals.asking():
            settings = self._settings
            url = SessionUrl(
                base,
                launcher.create(),
                settings.account,
                joins=settings.joins,
                name=settings.name,
                keep=settings.keep,
            )
        return Dialer(
            url,
            signals,
            self._settings.insecure_tls,
            embedded=embedded,
            timeouts=self._timeouts,
            headers=self._settings.headers,
            find_account=choice.account if self._settings.unsigned_first else None,
        )

    def _wait(self, link: Link, launcher: Launcher, console: Console, dialer: Dialer) -> UserInput | None:
        """Waits until the agent has attached. Returns what the user has typed meanwhile.

        Returns None for a command on pipes and for `mlogin -d`: then standard input is not read during the wait.
        """
        if self._wish.pipes or self._settings.detach:
            wait_for_agent(self._settings, link, launcher, console, dialer)
            return None
        return wait_and_read(self._settings, link, launcher, console, dialer, self._modes)

    def _run_session(
        self,
        link: Link,
        launcher: Launcher,
        dialer: Dialer,
        console: Console,
        keep: Callable[[], bool],
        typed: UserInput | None,
        returning: Returning,
    ) -> int:
        """Runs the session, and returns mlogin's exit status. `keep` makes the job go on after mlogin's end."""
        settings = self._settings
        runner = SessionRunner(settings, self._messages, self._wish, self._forwarder, self.state, self._make)
        if settings.detach:
            runner.start_detached(link, launcher.keep, dialer, console.signals, returning)
            return 0
        joins_only = settings.joins and settings.attach is None
        refusal = words.cannot_detach(settings, embedded=dialer.embedded)
        leaving = Leaving(keep, refusal=refusal, on_hangup=not joins_only)
        info = words.information(link, launcher, dialer)
        notices = WalltimeNotices(launcher.poll, self._timeouts.walltime_interval)
        with self._ending_job(link, launcher):
            if typed is not None and (welcome := words.welcome(settings, launcher, console)):
                self._messages.say(welcome)
            end = runner.run(link, console, notices, typed, info, leaving, returning)
            self._messages.say(words.ending(end))
        return status_of(end)

    @contextlib.contextmanager
    def _ending_job(self, link: Link, launcher: Launcher) -> Iterator[None]:
        """Context manager for the session. Afterwards it ends the link, and then the job, if the job has to end."""
        clean, grace = False, self._timeouts.job_end_grace
        try:
            yield
            clean = True
        except (Detached, TakenOver):
            self.state.left = True
            raise
        except GivenUp:
            grace = self._timeouts.disconnect_grace
            raise
        finally:
            # The agent ends when the link ends. So end the link first, then wait for the job.
            link.abort()
            if self.state.left_to_guard:
                self._messages.say("the link is lost; the job is ended in the background")
            elif not self.state.left:
                if self._reflector_over():  # the agent would wait for it to come back
                    grace = self._timeouts.disconnect_grace
                launcher.finish(grace, clean=clean)
                if not clean:
                    self._report_job(launcher)

    def _leave_to_guard(self, ledger: Ledger, launcher: Launcher, dialer: Dialer, returning: Returning) -> None:
        """Notes in the ledger what the guard process has to do after mlogin's end."""
        if self.state.left_to_guard:
            ledger.end_kept()
        job_over = returning.job_over and not self._settings.joins  # then the reflector has ended as well
        unsaid = job_over or returning.unsaid is not None
        what = None if job_over else returning.unsaid
        if unsaid and (farewell := dialer.farewell(what)):
            ledger.add("farewell", farewell.text)
        # Only the guard process then learns when the job ends, if its processes are on this machine.
        here = launcher.sees_end and not launcher.queues and ledger.awaits
        if self.state.left and here and (farewell := dialer.farewell(None)):
            ledger.add("over", farewell.text)

    def _returning(self, dialer: Dialer, launcher: Launcher) -> Returning:
        """Returns the object that brings the session back over a new link each time that its link is lost."""
        settings = self._settings
        leave = words.leaving(settings, pipes=self._wish.pipes)
        progress = Progress(self._messages, leave, always=settings.shares_terminal, silent=not settings.tells_links)
        returning = Returning(dialer, self._settings.keep, progress, self._timeouts)
        returning.over = lambda: self._reflector_over() or launcher.over()
        return returning

    def _report_job(self, launcher: Launcher) -> None:
        """Tells the user how the job ended, if it has ended. Call it after a session was cut off.

        The end of the job is often the reason.
        """
        state = launcher.poll()
        if self.state.started and not state.alive:
            self._messages.say(f"{launcher.describe()} {state.describe()}")
