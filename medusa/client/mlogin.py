"""Runs mlogin: starts a reflector and a job, attaches, runs the session, and returns the exit status.

medusa/commands/mlogin.py parses the arguments.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import time
import traceback
from collections.abc import Callable, Iterator

from medusa.client import launchers
from medusa.client import ledger as ledgers
from medusa.client.choice import Choice
from medusa.client.cleanup.emulator import Emulator
from medusa.client.cleanup.note import Note
from medusa.client.embedded_reflector import embedded_reflector
from medusa.client.forwarding.forwarder import forwarder_for
from medusa.client.launchers.base import JobRequest, Launcher
from medusa.client.ledger import Ledger
from medusa.client.login import words
from medusa.client.login.on_pipes import MakeSession, OnPipes
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
    cut_off,
    status_of,
)
from medusa.client.pipes.forward_sessions import session_for
from medusa.client.queries import local
from medusa.client.session.detaching.leaving import Leaving
from medusa.client.session.detaching.start import start_detached
from medusa.client.session.input.escape import Action, show_character
from medusa.client.session.input.keyboard import HIGH_WATER
from medusa.client.session.input.user_input import UserInput
from medusa.client.session.reconnect import Dialer
from medusa.client.session.remote.attached import AttachedRemote
from medusa.client.session.remote.base import Remote
from medusa.client.session.remote.needed import NeededStream
from medusa.client.session.remote.offered import remote_for
from medusa.client.session.session_url import SessionUrl, archive_url
from medusa.client.session.terminal_session import TerminalSession
from medusa.client.session.wait_for_agent import WaitForAgent
from medusa.client.session.walltime import WalltimeNotices
from medusa.client.settings import Settings
from medusa.client.streams.conversation import Conversation
from medusa.client.streams.progress import Progress
from medusa.client.streams.returning import Returning
from medusa.client.terminal.console import Console
from medusa.client.terminal.messages import Messages, is_dumb
from medusa.client.terminal.read_ahead import read_ahead
from medusa.client.terminal.signals import Signals
from medusa.client.terminal.stdout import Stdout
from medusa.client.terminal.tty import Terminal, carried_modes, end_of_file
from medusa.guard import Guard
from medusa.protocol.control import Exit
from medusa.protocol.printable import printable
from medusa.transports.dial import parse_url
from medusa.transports.link import Link

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


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
        return OUTCOME_UNKNOWN if login.started else interrupted.status
    except KeyboardInterrupt:  # SIGINT came before or after the `with` block of Signals
        messages.error("ended by SIGINT")
        return OUTCOME_UNKNOWN if login.started else INTERRUPTED
    except Exception:  # noqa: BLE001 - mlogin always ends with one of its own exit statuses
        lines = traceback.format_exc().splitlines()
        messages.error("\n".join(["internal error", *map(printable, lines)]))
        return OUTCOME_UNKNOWN if login.started else OWN_ERROR


class Login:
    """Carries out one run of mlogin. Call `run` once.

    Attributes:
        started: True if mlogin has begun the session. Then the agent may have started the user's command.
    """

    def __init__(self, settings: Settings, messages: Messages, make: MakeSession | None = None) -> None:
        self._make = make
        self._settings = dataclasses.replace(settings, tell=messages.error)
        self._timeouts = settings.timeouts
        self._messages = messages
        self._modes = carried_modes(shared=not os.isatty(1))  # before anything changes them
        self._wish = Wish(settings, messages, self._modes)
        self.started = False
        self._left_to_guard = self._left = False
        self._leaving = Leaving()
        self._forwarder = forwarder_for(settings, messages)
        self._companion = self._forwarder if settings.forwards else None
        self._reflector_over: Callable[[], bool] = lambda: (
            False
        )  # no other reflector takes the place of an embedded one

    def run(self) -> int:
        """Runs mlogin. Returns the exit status that the agent reported; 0 for `mlogin -d`, which does not wait for it.

        Raises:
            Failure: the agent reported no exit status. The attribute `status` of the exception is mlogin's exit status.
            Interrupted: a signal asked mlogin to end.
        """
        with contextlib.ExitStack() as stack:
            ledger = stack.enter_context(_ledger())
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
            self._submit(launcher, dialer)
            typed = self._wait(link, launcher, console, dialer)
            launcher.joined()
            stack.enter_context(self._announced(launcher, dialer, ledger))
            info = words.information(link, launcher, dialer)
            returning = self._returning(dialer, launcher)
            refusal = words.cannot_detach(self._settings, embedded=dialer.embedded)
            joins_only = self._settings.joins and self._settings.attach is None
            keep = functools.partial(ledger.keep, launcher.keep)
            self._leaving = Leaving(keep, refusal=refusal, on_hangup=not joins_only)
            try:
                if self._settings.detach:
                    return self._start_detached(link, launcher, dialer, signals, returning)
                return status_of(self._session(link, launcher, console, info, typed, returning))
            except Detached:
                told = not returning.unsaid
                raise Detached(words.detached(self._settings, dialer, told=told)) from None
            finally:
                returning.close()
                if self._left_to_guard:
                    ledger.end_kept()
                unsaid = returning.job_over or returning.unsaid is not None
                what = None if returning.job_over else returning.unsaid
                if unsaid and (farewell := dialer.farewell(what)):
                    ledger.add("farewell", farewell.text)
                # Only the guard process then learns when the job ends, if its processes are on this machine.
                local = launcher.sees_end and not launcher.queues and ledger.awaits
                if self._left and local and (farewell := dialer.farewell(None)):
                    ledger.add("over", farewell.text)

    def _launcher(self, stack: contextlib.ExitStack, ledger: Ledger) -> Launcher:
        """Makes the launcher and returns it. When `stack` is closed, the launcher ends its job.

        It does not end the job in two cases: the guard process is to do so, or the user has left the session.
        """
        inner = contextlib.ExitStack()
        stack.push(lambda *exc: None if self._left_to_guard or self._left else inner.__exit__(*exc))
        return inner.enter_context(launchers.find(self._settings.launcher)(self._settings, ledger))

    def _console(self, stack: contextlib.ExitStack, ledger: Ledger, signals: Signals) -> Console:
        emulator = Emulator(ledger.note) if os.isatty(1) and not is_dumb() else None
        stdout = Stdout(1, emulator)
        stack.callback(stdout.close)
        terminal = stack.enter_context(
            Terminal(0, ledger, shared=not stdout.is_tty, untouched=self._wish.pipes or self._settings.detach)
        )
        if not (self._wish.pipes or self._settings.detach) and (
            warning := words.changed_data(self._settings, terminal, stdout)
        ):
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

    def _session(
        self,
        link: Link,
        launcher: Launcher,
        console: Console,
        info: Callable[[], Iterator[str]],
        typed: UserInput | None,
        returning: Returning,
    ) -> Exit:
        end, grace = None, self._timeouts.job_end_grace
        try:
            notices = WalltimeNotices(launcher.poll, self._timeouts.walltime_interval)
            if typed is None:
                end = self._on_pipes(link, console, notices, returning)
            else:
                if welcome := words.welcome(self._settings, launcher, console):
                    self._messages.say(welcome)
                end = self._in_terminal(link, notices, console, info, typed, returning)
            self._messages.say(words.ending(end))
        except (Detached, TakenOver):
            self._left = True
            raise
        except GivenUp:
            grace = self._timeouts.disconnect_grace
            raise
        finally:
            # The agent ends when the link ends. So end the link first, then wait for the job.
            link.abort()
            if self._left:
                pass
            elif self._left_to_guard:
                self._messages.say("the link is lost; the job is ended in the background")
            else:
                if self._reflector_over():  # the agent would wait for it to come back
                    grace = self._timeouts.disconnect_grace
                launcher.finish(grace, clean=end is not None)
                if end is None:
                    self._report_job(launcher)
        return end

    def _start_detached(
        self, link: Link, launcher: Launcher, dialer: Dialer, signals: Signals, returning: Returning
    ) -> int:
        """Starts the command in a terminal that goes on without mlogin. Prints how to attach to it, and returns 0."""
        conversation = Conversation(link, returning=returning)
        start_detached(conversation, self._wish.in_terminal(), launcher.keep, self._messages.error, signals)
        self._left = True
        print("\n".join(words.started(self._settings, dialer)))
        return 0

    def _returning(self, dialer: Dialer, launcher: Launcher) -> Returning:
        """Returns the object that brings the session back over a new link each time that its link is lost."""
        if self._wish.pipes:
            leave = "Control-C ends it" if os.isatty(2) else ""
        else:
            escape = self._settings.escape
            leave = f"{show_character(escape)}. ends it" if escape else ""
        settings = self._settings
        if settings.shares_terminal:
            leave = ""
        progress = Progress(self._messages, leave, always=settings.shares_terminal, silent=not settings.tells_links)
        returning = Returning(dialer, self._settings.keep, progress, self._timeouts)
        returning.over = lambda: self._reflector_over() or launcher.over()
        return returning

    def _announced(self, launcher: Launcher, dialer: Dialer, ledger: Ledger) -> contextlib.AbstractContextManager[None]:
        """Returns a context manager that lists the session on this machine during its `with` block.

        So this user's `medusa ls` and `medusa exec` find the session. The context manager does nothing if these
        programs can ask the session's reflector, or if another mlogin has begun the session and lists it already.
        """
        if not dialer.embedded or self._settings.joins:
            return contextlib.nullcontext()
        names = {"name": self._settings.name, "job": launcher.describe(), "host": os.uname().nodename}
        entry = {"id": dialer.url.session, "state": "linked", "created": time.time(), "reflector": dialer.url.base}
        return local.announced({**entry, **names}, noted=functools.partial(ledger.entry, "file"))

    def _submit(self, launcher: Launcher, dialer: Dialer) -> None:
        proxies = {name: value for name, value in os.environ.items() if name.lower() in _PROXIES}
        base = dialer.url.base
        request = JobRequest(
            session_url=dialer.url.agent_url,
            archive_url=archive_url(base),
            insecure_tls=self._settings.insecure_tls,
            environ={} if dialer.embedded else proxies,
            headers=dialer.sent_headers,
            embedded=parse_url(base).port if dialer.embedded else None,
        )
        launcher.submit(request)

    def _wait(self, link: Link, launcher: Launcher, console: Console, dialer: Dialer) -> UserInput | None:
        """Waits until the agent has attached. Returns what the user has typed meanwhile.

        Returns None for a command on pipes and for `mlogin -d`: then standard input is not read during the wait.
        """
        timeout = self._settings.wait_timeout
        wait = WaitForAgent(
            link,
            launcher,
            console,
            deadline=None if timeout is None else time.monotonic() + timeout,
            reconnect=dialer.reconnect if launcher.queues or not dialer.embedded else None,
            queues=launcher.queues,
        )
        wait.take_ticket = dialer.take_ticket
        if self._wish.pipes or self._settings.detach:
            wait.run()
            return None
        # If the input is piped, escapes are recognised only if the user named an escape character.
        escaping = console.terminal.is_tty or self._settings.escape_given
        character = self._settings.escape if escaping else None
        typed = UserInput(character, self._timeouts, end_of_file(self._modes))

        def take(data: bytes) -> bool:
            disconnects = Action.DISCONNECT in typed.feed(data or typed.end_of_file)
            if disconnects:
                console.signals.disconnect()
            return not disconnects and len(typed) < HIGH_WATER

        with read_ahead(console.terminal, take, lambda: launcher.asks):
            wait.run()
        return typed

    def _on_pipes(self, link: Link, console: Console, notices: WalltimeNotices, returning: Returning) -> Exit:
        console.stdout.close()  # otherwise its reader would not find the end of the output before mlogin's own end
        conversation = Conversation(link, returning=returning, companion=self._companion)
        session: OnPipes
        if self._make is not None:
            session = self._make(conversation, self._messages, console.signals, self._timeouts)
        else:
            args = (conversation, self._messages, console.signals, notices, self._timeouts)
            session = session_for(self._settings, self._forwarder.idle, *args)
        try:
            return session.run(**self._wish.on_pipes())
        except GivenUp:
            self._left_to_guard = not session.answered
            raise
        finally:
            self.started = session.opened

    def _in_terminal(
        self,
        link: Link,
        notices: WalltimeNotices,
        console: Console,
        info: Callable[[], Iterator[str]],
        typed: UserInput,
        returning: Returning,
    ) -> Exit:
        terminal = console.terminal
        self.started = True
        end = None
        with terminal:
            terminal.make_raw()
            self._messages.raw = terminal.raw
            remote = self._remote(link, returning)
            session = TerminalSession(remote, console, typed, info, notices, self._timeouts)
            session.leaving = self._leaving
            try:
                end = session.run()
            except GivenUp:
                self._left_to_guard = not session.answered
                raise
            finally:
                self._messages.raw = False
                if end is None or cut_off(end):
                    console.stdout.undo_modes(self._timeouts.undo_timeout)
        return end

    def _remote(self, link: Link, returning: Returning) -> Remote:
        start, tell, attach = self._wish.in_terminal(), self._messages.error, self._settings.attach
        if attach is None:
            return remote_for(link, start, tell, returning, self._companion)
        conversation = Conversation(link, returning=returning, companion=self._companion)
        return NeededStream(conversation, AttachedRemote(conversation, start, attach, tell), tell)

    def _report_job(self, launcher: Launcher) -> None:
        """Tells the user how the job ended, if it has ended. Call it after a session was cut off.

        The end of the job is often the reason.
        """
        state = launcher.poll()
        if self.started and not state.alive:
            self._messages.say(f"{launcher.describe()} {state.describe()}")


@contextlib.contextmanager
def _ledger() -> Iterator[Ledger]:
    """Context manager that yields a ledger. In it, mlogin records what its guard process must undo.

    Enter it before there is anything to undo.
    """
    note = Note()
    guard = Guard.start(functools.partial(ledgers.undo, note=note), keep_fds=[fd for fd in (0, 1) if os.isatty(fd)])
    ledger = Ledger(guard, note)
    try:
        yield ledger
    finally:
        ledger.close()
