"""The options of `medusa reflector` for its limits, and for the proxies in front of the reflector."""

from __future__ import annotations

import argparse
import re
from types import SimpleNamespace
from typing import Any

from medusa.commands.options.parser import OptionParser
from medusa.reflector.config import ReflectorConfig
from medusa.reflector.net.client_address import parse_networks

DEFAULTS = ReflectorConfig()

COUNTS = {
    "max_sessions": "sessions in this process; more get 503",
    "max_sessions_per_login": "sessions of one login in this process; more get 429",
    "max_sessions_per_address": "sessions without a login from one address in this process; more get 429",
    "max_waiting_per_login": "sessions of one login that wait for an agent; more get 429",
    "max_waiting_per_address": "sessions from one address that wait for an agent; more get 429",
    "max_legs": "clients of one session, of which each has a link of its own to the agent; more get 503",
    "max_held_sessions": "sessions in this process that outlive their clients, or wait for an agent; more get 503",
    "max_held_sessions_per_login": "the same, of one login; more get 429",
    "max_connects_per_minute": "attaches from one address, and as one login; more get 429",
    "per_source_max_startups": "connections from one address that have not identified themselves; more are dropped",
}

BYTES = {
    "max_held": "unfinished messages, and what peers do not read, in all; beyond it 1009",
    "max_held_per_login": "the same, of one login or of one address without a login",
}

TIMES = {
    "idle_timeout": "end a session through which no terminal byte has passed for so long",
    "max_duration": "end a session that has lasted so long since its agent came",
    "max_hold": "keep a session at most for so long while its agent is away",
    "message_timeout": "a message that is not finished after so long, and 1 s more for each KiB of it, is refused",
    "write_stall": "a peer that takes nothing of what is sent to it for so long is lost",
}


_NAMES = (*COUNTS, *BYTES, *TIMES, "max_startups", "trusted_proxy", "proxy_protocol")


def add_limit_options(parser: OptionParser) -> None:
    """Adds the options for limits and proxies to `parser`. Each has the name of its field in ReflectorConfig."""
    _add_limits(parser.add_argument_group("Limits"))
    add = parser.add_argument_group("Proxies in front").add_argument
    believed = "proxies whose X-Forwarded-For is believed: addresses and networks (none)"
    add("--trusted-proxy", type=networks, default=(), metavar="ADDR/NET,...", help=believed)
    proxy = "each connection from --trusted-proxy begins with a PROXY header, of version 1 or 2"
    add("--proxy-protocol", action="store_true", help=proxy)


def _add_limits(group: Any) -> None:
    size = "one message (%(default)d)"
    group.add_argument("--max-message", type=int, default=DEFAULTS.max_message, metavar="BYTES", help=size)
    for name, what in COUNTS.items():
        of = "held-" if "held" in name else ""
        default = f"half of --max-{of}sessions" if getattr(DEFAULTS, name) is None else "%(default)d"
        _add(group, name, int, "N", f"{what} ({default}; 0: no limit)")
    for name, what in BYTES.items():
        default = "an eighth of --max-held" if getattr(DEFAULTS, name) is None else "%(default)d"
        _add(group, name, int, "BYTES", f"{what} ({default}; 0: no limit)")
    strangers = "connections that have not identified themselves: from START on RATE percent of new ones are dropped, "
    strangers += "then more, and all from FULL on (%d:%d:%d; 0: no limit)" % DEFAULTS.max_startups
    startups = DEFAULTS.max_startups
    group.add_argument("--max-startups", type=_startups, default=startups, metavar="START:RATE:FULL", help=strangers)
    for name, what in TIMES.items():
        default = "%(default)g; 0: never" if getattr(DEFAULTS, name) else "default: 0, which means never"
        _add(group, name, float, "S", f"{what} ({default})")


def limit_settings(options: SimpleNamespace) -> dict[str, Any]:
    """Returns the values of the options for limits and proxies, as keyword arguments for ReflectorConfig."""
    return {name: getattr(options, name) for name in _NAMES}


def _add(group: Any, name: str, kind: type, metavar: str, text: str) -> None:
    option = "--" + name.replace("_", "-")
    group.add_argument(option, type=kind, default=getattr(DEFAULTS, name), metavar=metavar, help=text)


def _startups(text: str) -> tuple[int, int, int]:
    """Parses a text START:RATE:FULL. Returns the three numbers.

    A single number is both START and FULL, as in sshd.
    """
    words = text.split(":")
    if len(words) not in (1, 3) or not all(word.isdecimal() for word in words):
        raise argparse.ArgumentTypeError(f"{text!r} is not START:RATE:FULL")
    numbers = [int(word) for word in words]
    start, rate, full = numbers if len(numbers) == 3 else (numbers[0], 100, numbers[0])
    return start, rate, full


def networks(text: str) -> tuple[str, ...]:
    """Splits a list of addresses and networks at commas and spaces, and returns them. Raises ArgumentTypeError."""
    words = tuple(word for word in re.split(r"[,\s]+", text) if word)
    try:
        parse_networks(words)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return words
