"""The command line of the load generator of sessions."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from agent.process.inherited import adopt_orphans
from bench.loads import commands, copies, forwards
from bench.loads.programs import Failed

ORPHANS_TIMEOUT = 5.0
"""Seconds for the session's other processes, such as the agent, to end after the program."""

POLL_INTERVAL = 0.01
"""Seconds."""

ACTIONS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "pipe": commands.pipe,
    "pipe-up": commands.pipe_up,
    "terminal": commands.terminal,
    "stale": commands.stale,
    "keys": commands.keys,
    "forward": forwards.forward,
    "forward-echo": forwards.forward_echo,
    "forward-connect": forwards.forward_connect,
    "copy": copies.copy,
    "first": copies.first,
    "first-output": commands.first_output,
}

ON_TERMINAL = ("terminal", "stale", "keys")
"""The actions whose program gets a terminal."""


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.loads", description=__doc__)
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("--size", type=_size, default=1 << 20, help="bytes; k and m for KiB and MiB")
    parser.add_argument("--rate", type=float, default=4e5, help="bytes a second that a slow terminal reads")
    parser.add_argument("--duration", type=float, default=4.0, help="seconds before the Control-C")
    parser.add_argument("--count", type=int, default=1, help="how many echoes, connections, files or commands")
    parser.add_argument("--connections", type=int, default=1, help="how many connections carry the bytes")
    parser.add_argument("--up", action="store_true", help="bytes go to the job, not from there")
    text = "an option that the program needs to give its command a terminal, to be added before the command"
    parser.add_argument("--terminal-option", action="append", default=[], metavar="OPTION", help=text)
    text = "the program, whose last argument will be the command; for copies, it is what names the other side"
    parser.add_argument("program", nargs="+", help=text)
    options = parser.parse_args(arguments)
    if options.action in ON_TERMINAL:
        options.program += options.terminal_option
    return options


def _size(text: str) -> int:
    scale = {"k": 1 << 10, "m": 1 << 20}.get(text[-1:], 1)
    return int(text.rstrip("km")) * scale


def main(arguments: list[str] | None = None) -> int:
    """Measures, and prints the record. Returns the exit status."""
    options = _options(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the session is ended
    try:
        print(json.dumps(ACTIONS[options.action](options)))
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _reap_orphans() -> None:
    """Waits until all processes of the session have ended, so that their time counts as that of this process."""
    deadline = time.monotonic() + ORPHANS_TIMEOUT
    with contextlib.suppress(ChildProcessError):
        while time.monotonic() < deadline:
            if os.waitpid(-1, os.WNOHANG)[0] == 0:
                time.sleep(POLL_INTERVAL)


if __name__ == "__main__":
    adopt_orphans()
    status = main()
    _reap_orphans()
    sys.exit(status)
