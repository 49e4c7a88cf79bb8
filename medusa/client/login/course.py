"""The course of a session, from the attach to the end of the job. mlogin imports it while reflector and job start."""

from __future__ import annotations

import contextlib
import functools
import gc
import os
import time
from collections.abc import Callable, Iterator, Mapping

from medusa.client.choice import Choice
from medusa.client.embedded_reflector import EmbeddedReflector
from medusa.client.forwarding.forwarder import Forwarder, forwarder_for
from medusa.client.launchers.base import Launcher
from medusa.client.ledger import Ledger
from medusa.client.login import words
from medusa.client.login.announced import announced
from medusa.client.login.job_request import job_request
from medusa.client.login.on_pipes import MakeSession
from medusa.client.login.preparation import cannot_detach
from medusa.client.login.session_runner import SessionRunner
from medusa.client.login.wait import wait_and_read, wait_for_agent
from medusa.client.login.wish import Wish
from medusa.client.outcome import Detached, GivenUp, SessionState, TakenOver, status_of
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
from medusa.client.terminal.tty import Terminal
from medusa.protocol.printable import printable
from medusa.transports.link import Link


class Course:
    """Runs one session. Call `run` once.

    Args:
        state: the record in which it notes what becomes of the session.
    """

    def __init__(
        self,
        settings: Settings,
        messages: Messages,
        ledger: Ledger,
        signals: Signals,
        launcher: Launcher,
        wish: Wish,
        state: SessionState,
    ) -> None:
        self._settings, self._messages, self._wish, self._state = settings, messages, wish, state
        self._ledger, self._signals, self._launcher = ledger, signals, launcher
        self._timeouts = settings.timeouts
        self._reflector_over: Callable[[], bool] = lambda: False  # none takes the place of an embedded one

    def run(
        self,
        choice: Choice,
        reflector: EmbeddedReflector | None,
        forwarder: Forwarder | None,
        modes: Mapping[int, int],
        make: MakeSession | None,
    ) -> int:
        """Runs the session, and returns mlogin's exit status. Raises the same as Login.run.

        Args:
            choice: finds the account if requests have to be signed after all.
            reflector: the one that this mlogin has started, if it has.
            forwarder: forwards connections; None if nothing is forwarded.
            modes: the modes of the user's terminal: opcode (RFC 4254) -> value.
            make: makes what takes the place of a command on pipes; None for such a command.
        """
        if not gc.isenabled():
            gc.freeze()  # what is imported by now is needed until the end
            gc.enable()
        settings, launcher = self._settings, self._launcher
        forwarder = forwarder_for(settings, self._messages) if forwarder is None else forwarder
        runner = SessionRunner(settings, self._messages, self._wish, forwarder, self._state, make)
        with contextlib.ExitStack() as stack:
            dialer = self._dialer(reflector, choice)
            # mlogin attaches before the agent dials, because the reflector refuses an agent without a client.
            connecting = f"connecting to {printable(dialer.url.base)}"
            link = Link(dialer.connect(lambda: self._messages.waiting(connecting)), time.monotonic)
            stack.callback(link.abort)
            console = self._console(stack)
            launcher.submit(job_request(settings, dialer))
            typed = self._wait(link, console, dialer, modes)
            launcher.joined()
            stack.enter_context(announced(settings, launcher, dialer, self._ledger))
            returning = self._returning(dialer)
            try:
                keep = functools.partial(self._ledger.keep, launcher.keep)
                return self._run_session(runner, link, dialer, console, keep, typed, returning)
            except Detached as left:
                told = not returning.unsaid
                raise Detached(words.detached(settings, dialer, told=told, dropped=str(left))) from None
            finally:
                returning.close()
                self._leave_to_guard(dialer, returning)

    def _console(self, stack: contextlib.ExitStack) -> Console:
        ledger = self._ledger
        emulator = None
        if os.isatty(1) and not is_dumb():
            from medusa.client.cleanup.emulator import Emulator  # takes long to import

            emulator = Emulator(ledger.note)
        stdout = Stdout(1, emulator)
        stack.callback(stdout.close)
        untouched = self._wish.pipes or self._settings.detach
        terminal = stack.enter_context(Terminal(0, ledger, shared=not stdout.is_tty, untouched=untouched))
        if not untouched and (warning := words.changed_data(self._settings, terminal, stdout)):
            self._messages.say(warning)
        return Console(terminal, stdout, self._messages, self._signals)

    def _dialer(self, reflector: EmbeddedReflector | None, choice: Choice) -> Dialer:
        """Creates the job, and returns the Dialer, which attaches to the job's session.

        `reflector`: the one that this mlogin has started, if it has.
        """
        signals, launcher = self._signals, self._launcher
        base = self._settings.reflector or launcher.front_door
        embedded = base is None or self._settings.embedded
        if reflector is not None:
            self._reflector_over = reflector.over
            with self._messages.waiting("starting a reflector"), signals.interruptible():
                base = reflector.url()
        elif embedded and self._settings.session is not None:  # the one of another mlogin, which ends with it
            self._reflector_over = functools.partial(local.is_over, self._settings.session)
        assert base is not None
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

    def _wait(self, link: Link, console: Console, dialer: Dialer, modes: Mapping[int, int]) -> UserInput | None:
        """Waits until the agent has attached. Returns what the user has typed meanwhile.

        Returns None for a command on pipes and for `mlogin -d`: then standard input is not read during the wait.
        """
        if self._wish.pipes or self._settings.detach:
            wait_for_agent(self._settings, link, self._launcher, console, dialer)
            return None
        return wait_and_read(self._settings, link, self._launcher, console, dialer, modes)

    def _run_session(
        self,
        runner: SessionRunner,
        link: Link,
        dialer: Dialer,
        console: Console,
        keep: Callable[[], bool],
        typed: UserInput | None,
        returning: Returning,
    ) -> int:
        """Runs the session, and returns mlogin's exit status. `keep` makes the job go on after mlogin's end."""
        settings, launcher = self._settings, self._launcher
        if settings.detach:
            runner.start_detached(link, launcher.keep, dialer, console.signals, returning)
            return 0
        joins_only = settings.joins and settings.attach is None
        refusal = cannot_detach(settings, embedded=dialer.embedded)
        leaving = Leaving(keep, refusal=refusal, on_hangup=not joins_only)
        info = words.information(link, launcher, dialer)
        notices = WalltimeNotices(launcher.poll, self._timeouts.walltime_interval)
        with self._ending_job(link):
            if typed is not None and (welcome := words.welcome(settings, launcher, console)):
                self._messages.say(welcome)
            end = runner.run(link, console, notices, typed, info, leaving, returning)
            self._messages.say(words.ending(end))
        return status_of(end)

    @contextlib.contextmanager
    def _ending_job(self, link: Link) -> Iterator[None]:
        """Context manager for the session. Afterwards it ends the link, and then the job, if the job has to end."""
        clean, grace = False, self._timeouts.job_end_grace
        try:
            yield
            clean = True
        except (Detached, TakenOver):
            self._state.left = True
            raise
        except GivenUp:
            grace = self._timeouts.disconnect_grace
            raise
        finally:
            # The agent ends when the link ends. So end the link first, then wait for the job.
            link.abort()
            if self._state.left_to_guard:
                self._messages.say("the link is lost; the job is ended in the background")
            elif not self._state.left:
                if self._reflector_over():  # the agent would wait for it to come back
                    grace = self._timeouts.disconnect_grace
                self._launcher.finish(grace, clean=clean)
                if not clean:
                    self._report_job()

    def _leave_to_guard(self, dialer: Dialer, returning: Returning) -> None:
        """Notes in the ledger what the guard process has to do after mlogin's end."""
        ledger, launcher = self._ledger, self._launcher
        if self._state.left_to_guard:
            ledger.end_kept()
        job_over = returning.job_over and not self._settings.joins  # then the reflector has ended as well
        unsaid = job_over or returning.unsaid is not None
        what = None if job_over else returning.unsaid
        if unsaid and (farewell := dialer.farewell(what)):
            ledger.add("farewell", farewell.text)
        # Only the guard process then learns when the job ends, if its processes are on this machine.
        here = launcher.sees_end and not launcher.queues and ledger.awaits
        if self._state.left and here and (farewell := dialer.farewell(None)):
            ledger.add("over", farewell.text)

    def _returning(self, dialer: Dialer) -> Returning:
        """Returns the object that brings the session back over a new link each time that its link is lost."""
        settings = self._settings
        leave = words.leaving(settings, pipes=self._wish.pipes)
        progress = Progress(self._messages, leave, always=settings.shares_terminal, silent=not settings.tells_links)
        returning = Returning(dialer, self._settings.keep, progress, self._timeouts)
        returning.over = lambda: self._reflector_over() or self._launcher.over()
        return returning

    def _report_job(self) -> None:
        """Tells the user how the job ended, if it has ended. Call it after a session was cut off.

        The end of the job is often the reason.
        """
        state = self._launcher.poll()
        if self._state.started and not state.alive:
            self._messages.say(f"{self._launcher.describe()} {state.describe()}")
