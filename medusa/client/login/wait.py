"""Waits for the agent, and reads meanwhile what the user types."""

from __future__ import annotations

import time
from collections.abc import Mapping

from medusa.client.launchers.base import Launcher
from medusa.client.session.input.escape import Action
from medusa.client.session.input.keyboard import HIGH_WATER
from medusa.client.session.input.user_input import UserInput
from medusa.client.session.reconnect import Dialer
from medusa.client.session.wait_for_agent import WaitForAgent
from medusa.client.settings import Settings
from medusa.client.terminal.console import Console
from medusa.client.terminal.read_ahead import read_ahead
from medusa.client.terminal.tty import end_of_file
from medusa.transports.link import Link

JOIN_DELAY = 0.9
"""Seconds. The agent of a session that runs comes sooner: a user need not be told that it is waited for."""


def wait_for_agent(settings: Settings, link: Link, launcher: Launcher, console: Console, dialer: Dialer) -> None:
    """Waits until the agent has attached. Leaves standard input unread.

    Raises Failure if the agent does not come, and Interrupted if a signal asks mlogin to end.
    """
    _wait(settings, link, launcher, console, dialer).run()


def wait_and_read(
    settings: Settings, link: Link, launcher: Launcher, console: Console, dialer: Dialer, modes: Mapping[int, int]
) -> UserInput:
    """Waits until the agent has attached. Returns what the user has typed meanwhile.

    `modes`: the modes of the user's terminal: opcode (RFC 4254) -> value. Raises the same as `wait_for_agent`.
    """
    # If the input is piped, escapes are recognised only if the user named an escape character.
    escaping = console.terminal.is_tty or settings.escape_given
    character = settings.escape if escaping else None
    typed = UserInput(character, settings.timeouts, end_of_file(modes))

    def take(data: bytes) -> bool:
        disconnects = Action.DISCONNECT in typed.feed(data or typed.end_of_file)
        if disconnects:
            console.signals.disconnect()
        return not disconnects and len(typed.waiting) < HIGH_WATER

    wait = _wait(settings, link, launcher, console, dialer)
    with read_ahead(console.terminal, take, lambda: launcher.asks):
        wait.run()
    return typed


def _wait(settings: Settings, link: Link, launcher: Launcher, console: Console, dialer: Dialer) -> WaitForAgent:
    timeout = settings.wait_timeout
    wait = WaitForAgent(
        link,
        launcher,
        console,
        deadline=None if timeout is None else time.monotonic() + timeout,
        reconnect=dialer.reconnect if launcher.queues or not dialer.embedded else None,
        queues=launcher.queues,
    )
    wait.tell_after = JOIN_DELAY if settings.joins else 0.0
    wait.take_ticket = dialer.take_ticket
    return wait
