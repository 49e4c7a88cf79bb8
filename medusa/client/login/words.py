"""Makes the texts for the user of a session: warnings, how to leave it, information about it."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Callable, Iterator

from medusa.client.launchers.base import Launcher
from medusa.client.session import walltime
from medusa.client.session.input.escape import show_character
from medusa.client.session.reconnect import Dialer
from medusa.client.settings import Settings
from medusa.client.terminal.console import Console
from medusa.client.terminal.stdout import Stdout
from medusa.client.terminal.tty import Terminal
from medusa.client.timeouts import FAREWELL_TIMEOUT
from medusa.protocol.control import Exit
from medusa.protocol.printable import printable
from medusa.transports.link import Link

UNTOLD = "if the agent cannot be told within %d s, it keeps the terminal for %s only"
"""Said to a user who has left a terminal while the link was lost. The second value is the time of --keep."""


def changed_data(settings: Settings, terminal: Terminal, stdout: Stdout) -> str:
    """Returns a warning that the job's terminal changes binary data; "" if no warning is needed.

    It is needed if standard input or standard output of mlogin is no terminal. It is not needed for input that the user
    has replaced by /dev/null.
    """
    given = {"standard input": terminal.is_tty or settings.no_input, "standard output": stdout.is_tty}
    others = [name for name, good in given.items() if not good]
    verb = "is no terminal" if len(others) == 1 else "are no terminals"
    return f"{' and '.join(others)} {verb}, but the job writes to one: binary data is changed" if others else ""


def welcome(settings: Settings, launcher: Launcher, console: Console) -> str:
    """Returns a text that says in which job the user's shell runs, and how to leave it.

    Returns "" if the user gave a command, or if standard input or output is no terminal.
    """
    if settings.command is not None or not (console.terminal.is_tty and console.stdout.is_tty):
        return ""
    mark = show_character(settings.escape) if settings.escape else None
    if settings.attach is not None:
        return f"attached to the job ({launcher.describe()}); " + (f"{mark}d leaves it, {mark}? helps" if mark else "")
    ways = f"exit or {mark}. leaves it, {mark}? helps" if mark else "exit leaves it"
    return f"you are in the job ({launcher.describe()}); {ways}"


def leaving(settings: Settings, *, pipes: bool) -> str:
    """Returns a text that says how to end a session whose link is lost; "" if mlogin shares its terminal.

    `pipes`: True if the command runs on pipes. Then standard error must be a terminal, or the result is "".
    """
    if settings.shares_terminal:
        return ""
    if pipes:
        return "Control-C ends it" if os.isatty(2) else ""
    return f"{show_character(settings.escape)}. ends it" if settings.escape else ""


def detached(settings: Settings, dialer: Dialer, *, told: bool = True, dropped: str = "") -> str:
    """Returns a text for a user who has just left a session. The text says how to come back.

    Args:
        told: False if the agent does not know yet that the user has left.
        dropped: says which input was dropped, if any.
    """
    where = "" if dialer.embedded else f" --reflector {shlex.quote(printable(dialer.url.base))}"
    session = shlex.quote(printable(settings.name or dialer.url.session))
    lost = "" if told else f"\n  the link is lost; {UNTOLD % (FAREWELL_TIMEOUT, walltime.words(settings.keep))}"
    lines = [
        f"detached; the job goes on{lost}",
        *([f"  {dropped}"] if dropped else []),
        f"  to come back: medusa attach {session}{where}",
    ]
    if settings.forwards:
        lines.append(f"  nothing is forwarded any more; to do so again: medusa forward {session} ...{where}")
    return "\n".join(lines)


def started(settings: Settings, dialer: Dialer) -> list[str]:
    """Returns lines for a user who has started a session and left it: the session's id, and how to come back."""
    return [f"session {printable(dialer.url.session)}", *detached(settings, dialer).splitlines()[1:]]


def ending(end: Exit) -> str:
    """Returns a text that says that the session has ended. If a signal has ended it, the text names the signal."""
    return "session complete" if end.signal is None else f"session ended by signal {printable(end.signal)}"


def information(link: Link, launcher: Launcher, dialer: Dialer) -> Callable[[], Iterator[str]]:
    """Returns a function that makes the lines for the escape `~i` (information about the session)."""
    begun = time.monotonic()
    url = dialer.url

    def lines() -> Iterator[str]:
        yield f"session    {printable(url.session)}"
        yield f"reflector  {printable(url.base)}" + (" (embedded)" if dialer.embedded else "")
        if url.account is not None:
            yield f"as         {url.account}"
        state = launcher.poll()
        yield f"job        {launcher.describe()}: {state.describe()}"
        left = walltime.seconds_left(state, time.monotonic())
        if left is not None:
            yield f"ends in    {walltime.words(left)}"
        yield f"for        {time.monotonic() - begun:.0f} s; {link.sent} bytes sent, {link.received} received"

    return lines
