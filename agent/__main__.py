"""Parses the agent's command line and runs the agent. In the archive, agent/archived.py calls `main`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import Iterable, List, Mapping, NoReturn, Optional, Tuple

from agent.command.encoding import to_text
from agent.config.configuration import ConfigError
from agent.config.manta_asset import ASSETS, delete_asset
from agent.config.shared_options import add_header_options, add_output_wait, headers_of, no_forwarding, output_wait
from agent.config.sources import obtain
from agent.dial.announce import HOLD_TIME, Holding, public_part
from agent.dial.first import Unreachable, connector, dial, jitter
from agent.dial.legs import LegDialer
from agent.log import log
from agent.process.context import Context
from agent.process.inherited import Inherited, adopt_orphans, hide_memory, more_descriptors, no_core_dumps
from agent.process.process_tree import GUEST, end_sessions
from agent.session.loop import SessionLoop
from agent.signals import PASSED_ON, Stopped, StopSignals
from agent.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa import __version__
from medusa.guard import Guard
from medusa.help_text import HelpParser, Section
from medusa.option_types import seconds, with_hint
from medusa.protocol.record import replace
from medusa.transports.base import Transport
from medusa.transports.dial.headers import hide_arguments

RETRY_FOR = 90.0
"""Seconds for which the agent goes on dialling.

If a reflector is killed, another one can take over its session ids 60 seconds later. RETRY_FOR is longer than that.
"""


HIDDEN_URL = "MEDUSA_ARGUMENT_URL"
"""The variable in which the archive's shell script passes on a URL argument: process lists show arguments."""

EXIT_BAD_CONFIG = 2
EXIT_NOT_CONNECTED = 3

USAGE = """\
agent.sh [OPTION...] [URL]
       agent.sh wrap [OPTION...] -- COMMAND [ARGUMENT...]
       agent.sh --list | --extract DIR"""

SECTIONS = (
    Section(
        "Other uses of the archive",
        (
            (
                "wrap [OPTION...] -- COMMAND",
                "run a step of a job, and offer a terminal if it fails: agent.sh wrap --help",
            ),
            ("--list", "list the files in the archive"),
            ("--extract DIR", "write these files to DIR"),
        ),
    ),
    Section(
        "Examples",
        (
            ("MEDUSA_SIGNED_URL=URL sh agent.sh", "a session, as `mlogin --launcher manual` asks for it"),
            ("sh agent.sh --config FILE", "the same with the URL in a file of mode 600"),
            ("sh agent.sh wrap -- make test", "a step of CI"),
        ),
    ),
    Section(
        "Variables",
        (
            ("MEDUSA_SIGNED_URL", "where to dial"),
            ("MEDUSA_AGENT_CONFIG", "the file for --config"),
            ("MEDUSA_INSECURE_TLS", "true: trust any certificate"),
            ("MEDUSA_NO_FORWARDING", "true: as --no-forwarding"),
            ("MEDUSA_GUEST", "true: leave alone what makes itself a daemon"),
            ("MEDUSA_HOLD", "seconds for which to come back after a lost link"),
            ("MEDUSA_OUTPUT_WAIT", "sets --output-wait"),
            ("MEDUSA_HEADER, MEDUSA_HEADER_COMMAND", "set --header and --header-command"),
            ("MEDUSA_PYTHON", "the Python to use, if not the first one on PATH"),
            ("HTTPS_PROXY, HTTP_PROXY, NO_PROXY", "the proxy to the reflector"),
            ("SSL_CERT_FILE", "the authorities to trust"),
        ),
        "No variable whose name begins with MEDUSA_ reaches the shell in the job.",
    ),
    Section(
        "Files",
        (
            ("the file of --config", 'one JSON object: {"signed_url": URL, "insecure_tls": false}'),
            ("/assets/LOGIN/stor/medusa-config-*.json", "the same in a job of a Manta; the newest one is read"),
        ),
    ),
    Section(
        "Exit status",
        (
            ("0", "a session took place, however its command ended"),
            ("2", "wrong usage or configuration"),
            ("3", "no connection"),
            ("125", "--extract cannot write"),
            ("126", "the archive is damaged, or the environment leaves no room for it"),
            ("127", "no suitable Python"),
            ("128+N", "stopped by signal N"),
        ),
    ),
)


def main(
    argv: Optional[List[str]] = None,
    assets: str = ASSETS,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    blocked: Optional[Iterable[int]] = None,
) -> int:
    """Runs one session, or one command if the first word is `wrap`. Returns the exit status.

    Args:
        argv: the words of the command line; None for those of this process.
        assets: the directory of the job's assets, which are copies of objects in Manta's store.
        blocked: the signals that the job had blocked before the agent started; None for those that are blocked now. The
            archive passes them, because it has blocked nearly all signals by then.
    """
    inherited = Inherited.found(os.environ, blocked)
    _fill_standard_fds()
    words = sys.argv[1:] if argv is None else argv
    hide_arguments(words[: words.index("--")] if "--" in words else words)
    if words[:1] == ["wrap"]:
        from agent.wrap.main import main as wrap_main  # takes long to import

        return wrap_main(words[1:], assets, timeouts, inherited)
    options = _parse(words, timeouts)
    timeouts = replace(timeouts, hangup_grace=options.grace)
    no_core_dumps()
    more_descriptors()
    hide_memory()  # before the fork of the guard, whose memory is a copy of this one
    # Start the guard before the configuration is read: forked later, it would hold more secrets.
    guard = Guard.start(lambda lines: end_sessions(lines, timeouts))
    signals = StopSignals(others=[number for number in PASSED_ON if number not in inherited.ignored])
    # From here on, the signals that the archive has blocked stop the agent with a log line.
    inherited.unblock()
    try:
        return _run(options, assets, signals, guard, timeouts, inherited)
    except Stopped as stopped:
        log("stopped by %s" % signal.Signals(stopped.number).name)
        return 128 + stopped.number
    finally:
        guard.done()
        signals.close()


class _Parser(HelpParser):
    """A parser that suggests the option that the user probably meant, if an option is unknown."""

    def error(self, message: str) -> NoReturn:
        super().error(with_hint(message, self))


def make_parser(timeouts: Timeouts = DEFAULT_TIMEOUTS) -> HelpParser:
    """Returns the parser of the options of `agent.sh`, except those of `wrap`."""
    parser = _Parser("agent.sh", USAGE, "Gives a job a terminal.", sections=SECTIONS)
    add = parser.add_argument_group("Where to dial").add_argument
    text = "where to dial; MEDUSA_SIGNED_URL, which process lists do not show, is the better place"
    add("url", metavar="URL", nargs="*", help=text)
    text = "a file that says where to dial. Default: MEDUSA_SIGNED_URL, MEDUSA_AGENT_CONFIG, the asset"
    add("--config", metavar="FILE", help=text)
    add("--insecure-tls", action="store_true", help="trust any certificate")
    add_header_options(add)
    text = "for how many seconds to try again while the reflector cannot be reached (%(default)g)"
    add("--retry-for", metavar="S", type=seconds, default=RETRY_FOR, help=text)
    add = parser.add_argument_group("The session").add_argument
    add("--no-forwarding", action="store_true", help="forward no connections: no mlogin -L, -R and -D")
    add = parser.add_argument_group("While a link is lost").add_argument
    add_output_wait(add, timeouts.parted_timeout)
    add = parser.add_argument_group("At the end").add_argument
    text = "seconds between SIGHUP and SIGKILL for what outlives the session (%(default)g)"
    add("--grace", metavar="S", type=seconds, default=timeouts.hangup_grace, help=text)
    parser.add_argument("--version", action="version", version="medusa agent " + __version__)
    return parser


def _parse(argv: Optional[List[str]], timeouts: Timeouts) -> argparse.Namespace:
    parser = make_parser(timeouts)
    options = parser.parse_intermixed_args(argv)
    hidden = os.environ.pop(HIDDEN_URL, None)
    options.url += [] if hidden is None else [hidden]
    if len(options.url) > 1:
        parser.error("more than one URL")  # the message does not quote the URLs: they are secrets
    if options.url and options.config:
        parser.error("a URL and --config both say where to dial: give one of them")
    return options


def _fill_standard_fds() -> None:
    """Opens /dev/null as each of the descriptors 0-2 that is closed.

    If one stayed closed, a socket could get the descriptor of stderr, and the log would be written to the socket.
    """
    fd = os.open(os.devnull, os.O_RDWR)
    while fd <= 2:
        fd = os.dup(fd)
    os.close(fd)


def _leave_stdin() -> None:
    """Replaces stdin by /dev/null.

    Stdin may be a script that contains the secret URL. Without this, the session could read the URL there.
    """
    fd = os.open(os.devnull, os.O_RDONLY)
    os.dup2(fd, 0)
    os.close(fd)


def _run(
    options: argparse.Namespace,
    assets: str,
    signals: StopSignals,
    guard: Guard,
    timeouts: Timeouts,
    inherited: Inherited,
) -> int:
    signals.raising = True
    try:
        signals.check()
        environ = {to_text(name): to_text(value) for name, value in os.environb.items()}
        wait = output_wait(options.output_wait, environ, timeouts.parted_timeout)
        times = replace(timeouts, parted_timeout=wait)
        context = Context(signals, guard, environ, log, times, inherited=inherited, passed_on=PASSED_ON)
        context = replace(context, forbidden=no_forwarding(options.no_forwarding, environ))
        seconds = environ.get("MEDUSA_HOLD", "")
        holding = Holding(context.incarnation, int(seconds) if seconds.isdecimal() else HOLD_TIME)
        link, dialer, guest = _connect(options, assets, environ, holding)
    except ConfigError as error:
        log(str(error))
        return EXIT_BAD_CONFIG
    except Unreachable as error:
        log("not connected: %s" % error)
        return EXIT_NOT_CONNECTED
    finally:
        signals.raising = False
    if guest:
        guard.record(GUEST)
    else:
        adopt_orphans()
    session = SessionLoop(link, replace(context, guest=guest), dialer=dialer, holding=holding)
    session.run()
    if signals.stopped is not None:
        return 128 + signals.stopped
    return 0 if session.clients or session.ended else EXIT_NOT_CONNECTED


def _connect(
    options: argparse.Namespace, assets: str, environ: Mapping[str, str], holding: Holding
) -> Tuple[Transport, LegDialer, bool]:
    argument = options.url[0] if options.url else None
    headers = headers_of(options.header, options.header_command, environ)
    found = obtain(argument, options.config, options.insecure_tls, environ, assets, headers)
    _leave_stdin()  # only now: the configuration may be read from there
    delete_asset(found.path, environ, log, assets)
    if found.advice:
        log(found.advice)
    log("connecting to %s" % public_part(found.signed_url))
    attempt = connector(found.signed_url, found.insecure_tls, headers=found.headers, holding=holding)
    link = dial(attempt, options.retry_for, log, jitter)
    log("connected")
    return link, LegDialer(found.signed_url, found.insecure_tls, log, found.headers), found.guest


if __name__ == "__main__":
    sys.exit(main())
