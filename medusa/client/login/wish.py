"""Makes the request for the agent: a command in a terminal, or a command on pipes."""

from __future__ import annotations

import os
from collections.abc import Mapping

from medusa.client.settings import Settings
from medusa.client.terminal.messages import Messages
from medusa.client.terminal.tty import window_size
from medusa.protocol.control import Start
from medusa.protocol.printable import printable
from medusa.protocol.terminal import environment, modes

DEFAULT_TERM = "xterm"

MAX_WITHHELD = 5
"""A message names the environment variables that are not sent to the session: at most this many of them."""


class Wish:
    """The command that the user asks for. Makes the request for it.

    Args:
        carried: the modes of the user's terminal that the command's terminal is to get: opcode (RFC 4254) -> value.
    """

    def __init__(self, settings: Settings, messages: Messages, carried: Mapping[int, int]) -> None:
        self._settings, self._messages, self._modes = settings, messages, carried

    @property
    def pipes(self) -> bool:
        """True if the command runs on pipes, False if it runs in a terminal."""
        pty = self._settings.pty
        return not (os.isatty(0) and os.isatty(1) if pty is None else pty)

    def on_pipes(self) -> dict[str, object]:
        """Returns the request for a command on pipes: the parameters of a channel (docs/protocol.md, part 3)."""
        env, named = self._environment()
        settings = self._settings
        return {
            "command": settings.command,
            "login": settings.login_shell,
            "env": env,
            "named": list(named),
            "cwd": settings.cwd,
            "name": settings.name or "",
        }

    def in_terminal(self) -> Start:
        """Returns the request for a command in a terminal: the message `start`."""
        columns, lines = window_size()
        command = self._settings.command
        arguments = ("--norc",) if command is None else ("-c", command)
        login = command is None if self._settings.login_shell is None else self._settings.login_shell
        term = os.environ.get("TERM") or DEFAULT_TERM
        env, named = self._environment()
        return Start(
            self._settings.cwd,
            term,
            columns,
            lines,
            "/bin/bash",
            arguments,
            modes.encode(self._modes) if self._modes else None,
            env or None,
            named or None,
            login or None,
        )

    def _environment(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """Returns a pair: the command's variables, and the names that the user has written in full (not as a pattern).

        The variables of --env come first, because the agent drops the last variables if there are too many.
        """
        own = dict(self._settings.env)
        chosen, named = environment.chosen(self._settings.send_env, os.environ)
        names = tuple(dict.fromkeys((*own, *named)))
        env = environment.checked({**own, **chosen, **own}, names)
        self._warn_of_withheld(env)
        return env, names

    def _warn_of_withheld(self, env: Mapping[str, str]) -> None:
        names = environment.withheld(self._settings.send_env, os.environ, env)
        if names:
            shown = ", ".join(map(printable, names[:MAX_WITHHELD]))
            more = f" and {len(names) - MAX_WITHHELD} more" if names[MAX_WITHHELD:] else ""
            self._messages.say(f"--send-env does not send {shown}{more}: README says which it sends")
