"""The options that forward connections, and what they ask for."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection
from types import SimpleNamespace

from medusa.client.outcome import Failure
from medusa.client.places.specs import Forward, Place, Side, parse_forward, parse_target
from medusa.commands.options.parser import OptionParser


def add_forward_options(parser: OptionParser, *, stdio: bool = False, alone: bool = False) -> None:
    """Adds the options that forward connections to a parser.

    Args:
        stdio: True to add the option -W too.
        alone: True to add the option -N too, which forwards without a command.
    """
    group = parser.add_argument_group("Forwarding")
    _add(group, "-L", "--local-forward", "[BIND:]PORT:HOST:PORT", Side.LOCAL, "listen here, and connect from the job")
    remote = "listen in the job, and connect from here; PORT alone: a SOCKS proxy there"
    _add(group, "-R", "--remote-forward", "[BIND:]PORT[:HOST:PORT]", Side.REMOTE, remote)
    dynamic = "a SOCKS proxy here, which connects from the job. -L, -R and -D may be repeated; port 0 is any free one, "
    dynamic += "and a path with a / takes the place of a port, for a unix socket"
    _add(group, "-D", "--dynamic-forward", "[BIND:]PORT", Side.DYNAMIC, dynamic)
    if alone:
        group.add_argument("-N", "--no-command", action="store_true", help="run nothing, only forward, until Control-C")
    if stdio:
        text = "connect standard input and output with this place, from the job"
        group.add_argument("-W", "--stdio-forward", metavar="HOST:PORT", type=_target, help=text)


def _add(group: argparse._ArgumentGroup, short: str, name: str, metavar: str, side: Side, text: str) -> None:
    group.add_argument(short, name, metavar=metavar, type=_of(side), action="append", default=[], help=text)


def _of(side: Side) -> Callable[[str], Forward]:
    def parse(text: str) -> Forward:
        try:
            return parse_forward(side, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return parse


def _target(text: str) -> Place:
    try:
        return parse_target(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def forwards(given: SimpleNamespace) -> tuple[Forward, ...]:
    """Returns what the options -L, -R and -D ask for. `given`: the values of all options."""
    return (*given.local_forward, *given.dynamic_forward, *given.remote_forward)


def typed_forwards(given: SimpleNamespace, typed: Collection[str]) -> tuple[Forward, ...]:
    """Returns what those of the options -L, -R and -D ask for that are on the command line.

    Those in the config file are for mlogin: a second program could not listen on the same ports.

    Args:
        given: the values of all options.
        typed: the names of the options on the command line.
    """
    names = ("local_forward", "dynamic_forward", "remote_forward")
    return tuple(forward for name in names if name in typed for forward in getattr(given, name))


def check_alone(given: SimpleNamespace) -> None:
    """Raises Failure if -N or -W contradicts another option, or if -N has nothing to forward."""
    name = "-W" if given.stdio_forward is not None else "-N" if given.no_command else None
    others = {"-c": given.command is not None, "-d": given.detach, "-t": given.pty is True}
    if name is not None:
        for other in [other for other, there in others.items() if there]:
            raise Failure(f"{name} runs nothing in the job: leave {other} out")
    elif given.detach and forwards(given):
        raise Failure("-d leaves the session at once, and what is forwarded ends then; `medusa forward` forwards later")
    if name == "-N" and not forwards(given):
        raise Failure("-N only forwards: what? Give -L, -R or -D")
