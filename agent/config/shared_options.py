"""The options of the agent that its programs share: parses their values, also in environment variables."""

from __future__ import annotations

from argparse import ArgumentTypeError
from typing import Callable, Mapping, Optional, Sequence

from agent.config.configuration import ConfigError, header_list
from medusa.option_types import seconds
from medusa.transports.dial.headers import Headers, header_option

SWITCH = {"": False, "0": False, "false": False, "1": True, "true": True}


def add_header_options(add: Callable[..., object]) -> None:
    """Adds the options for header fields to a parser. `add` is the parser's method `add_argument`."""
    text = "'NAME: VALUE', to be sent to the reflector, for a proxy in front of it; @FILE: those in FILE, one a line; "
    text += "may be repeated"
    add("--header", metavar="HEADER", action="append", default=[], type=header_option, help=text)
    add("--header-command", metavar="COMMAND", help="sh runs it, and it prints such headers, one a line")


def headers_of(given: Sequence[str], command: Optional[str], environ: Mapping[str, str]) -> Headers:
    """Returns the header fields that options name. If there are none, returns those that environment variables name.

    Args:
        given: the values of `--header`.
        command: the value of `--header-command`.

    Raises:
        ConfigError: MEDUSA_HEADER is wrong.
    """
    if given or command:
        return Headers(tuple(given), command)
    return Headers(header_list("MEDUSA_HEADER", environ.get("MEDUSA_HEADER")), environ.get("MEDUSA_HEADER_COMMAND"))


def no_forwarding(given: bool, environ: Mapping[str, str]) -> str:
    """Returns why the agent forwards no connections, as words for the user; "" if it does.

    Args:
        given: True if the option `--no-forwarding` is given. The variable MEDUSA_NO_FORWARDING can ask for the same.

    Raises:
        ConfigError: the variable is wrong.
    """
    return "the job's agent runs with --no-forwarding" if switch("MEDUSA_NO_FORWARDING", environ) or given else ""


def add_output_wait(add: Callable[..., object], default: float) -> None:
    """Adds the option `--output-wait` to a parser, by the parser's method `add_argument`."""
    text = "seconds for which a program on a terminal waits if the link of the client that typed last is lost (%g)"
    add("--output-wait", metavar="S", type=seconds, help=text % default)


def output_wait(given: Optional[float], environ: Mapping[str, str], default: float) -> float:
    """Returns the seconds for which output waits for a client whose link is lost.

    Args:
        given: the value of `--output-wait`; None if it is not given. Then MEDUSA_OUTPUT_WAIT counts, if it is set.

    Raises:
        ConfigError: MEDUSA_OUTPUT_WAIT is wrong.
    """
    if given is not None:
        return given
    try:
        return seconds(environ.get("MEDUSA_OUTPUT_WAIT") or str(default))
    except ArgumentTypeError as error:
        raise ConfigError("MEDUSA_OUTPUT_WAIT: %s" % error) from None


def switch(name: str, environ: Mapping[str, str]) -> bool:
    """Returns the value of the environment variable `name` as True or False; False if it is not set.

    Raises:
        ConfigError: the value is none of true, false, 1 and 0.
    """
    value = environ.get(name, "").lower()
    if value not in SWITCH:
        raise ConfigError("%s: none of %s" % (name, ", ".join(filter(None, SWITCH))))
    return SWITCH[value]
