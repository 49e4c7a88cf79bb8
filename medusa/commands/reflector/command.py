"""The command `medusa reflector`: reads the options, then runs one process, or a supervisor and several workers.

This module must not import a module that gevent patches (socket, threading, ...): `serve` has to patch it first.
"""

from __future__ import annotations

import argparse
import gc
import os
import re
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import medusa
from medusa.commands.options.parser import VARIABLES, OptionParser
from medusa.commands.process.core_dumps import limit_core_dumps
from medusa.commands.process.garbage import settle
from medusa.commands.process.streams import checked_streams, open_closed
from medusa.commands.reflector.limit_options import add_limit_options, limit_settings, networks
from medusa.commands.reflector.variables import CONFIG, WAIT_TIMEOUT, adopt_old_variables
from medusa.help_text import Section
from medusa.protocol.attach_path import LOGIN
from medusa.reflector.config import ConfigError, ReflectorConfig, Timeouts

LOG_FORMATS = ("json", "console")
LOG_LEVELS = ("debug", "info", "warning", "error")

DEFAULTS = ReflectorConfig()

MAX_WORKERS = 256

DESCRIPTION = "Run a reflector: the server that joins a user's terminal to an agent."
USAGE_ERROR = 2
SECTIONS = (
    Section(
        "Examples",
        (
            ("medusa reflector", "on loopback, for this machine alone"),
            ("medusa reflector --port 0", "on a free port, which it prints"),
            ("medusa reflector --accounts DIR --bind-ip :: --tls-cert F --tls-key F", "for users with keys"),
            ("medusa reflector --config FILE --check", "start nothing; say what FILE would serve to whom"),
        ),
    ),
    Section(VARIABLES, (("CONFIG_FILE", "the file for --config, by the variable's name in the original"),)),
    Section(
        "Files",
        (
            ("the file of --config", "lines `port = 8381`, or one JSON object; the keys are names of options"),
            ("DIR/LOGIN of --accounts", "the public keys of an account, as in authorized_keys"),
            ("DIR/LOGIN.users/NAME", "those of a user of the account"),
        ),
    ),
    Section(
        "Signals",
        (
            ("SIGTERM, SIGINT", "take no new session, and wait for the others, for --drain-timeout at most"),
            ("a second one", "end at once"),
            ("SIGHUP", "read the certificate again"),
        ),
    ),
    Section(
        "Exit status", (("0", "it was stopped"), ("1", "it cannot serve, or a value is wrong"), ("2", "wrong usage"))
    ),
)


def main(argv: Sequence[str], timeouts: Timeouts | None = None) -> int:
    """Runs a reflector until a signal ends it. Returns the exit status. `timeouts`: None for the defaults."""
    open_closed()
    limit_core_dumps()
    parser = make_parser(1 if "--check" in argv else USAGE_ERROR)
    adopted = adopt_old_variables(parser, argv, os.environ)
    options = parser.parse_args(argv)
    options.adopted = adopted
    if options.check:
        report = import_module("medusa.commands.reflector.check.report")
        with checked_streams("medusa reflector"):
            return int(report.run(config_of(options, timeouts or Timeouts()), options, parser.origin))
    log_format = options.log_format or ("console" if os.isatty(2) else "json")
    gc.disable()  # it would find nothing in what is imported, and look again and again
    launcher = import_module("medusa.commands.reflector." + ("serve" if options.workers == 1 else "supervise"))
    settle()
    gc.enable()
    try:
        _check(options.lifeline)
        return int(launcher.run(config_of(options, timeouts or Timeouts()), options, (log_format, options.log_level)))
    except ConfigError as error:
        parser.complain(str(error))


def make_parser(error_status: int = USAGE_ERROR) -> OptionParser:
    """Returns the parser of the reflector's options. `error_status`: the exit status after an error of usage."""
    parser = OptionParser("medusa reflector", DESCRIPTION, error_status, sections=SECTIONS)
    _add_addresses(parser)
    _add_users(parser)
    _add_site(parser)
    _add_times(parser)
    add_limit_options(parser)
    _add_log(parser)
    add = parser.add_argument
    check = "start nothing: say what would be served to whom, and what is wrong or unsafe; exit status 0 or 1"
    add("--check", action="store_true", help=check)
    # Two options name their variables themselves: MEDUSA_CONFIG and MEDUSA_WAIT_TIMEOUT are mlogin's.
    config = "key = value lines or JSON; also by CONFIG_FILE"
    add("--config", is_config_file=True, env_var=CONFIG, metavar="FILE", help=config)
    publish = "put the agent's archive there at start, as `medusa publish` does; tried until it is done"
    add("--publish", metavar="URL", help=publish)
    add("--lifeline", type=int, metavar="FD", help="stop at once when this descriptor reaches its end")
    return parser


def _add_addresses(parser: OptionParser) -> None:
    add = parser.add_argument_group("Addresses").add_argument
    add("--bind-ip", default=DEFAULTS.bind_ip, metavar="IP", help="address to listen on (%(default)s)")
    add("--port", type=int, default=DEFAULTS.port, help="port to listen on, 0 for a free one (%(default)s)")
    raw = "port of raw TCP, 0 for a free one (none): for tools such as socat, and tcp:// URLs"
    add("--raw-port", type=int, metavar="PORT", help=raw)
    add("--tls-cert", metavar="FILE", help="certificate chain (PEM): https instead of http; read again on SIGHUP")
    add("--tls-key", metavar="FILE", help="its private key (PEM, not encrypted)")
    hosts = "what the Host header may be (any): names with which users and jobs reach this reflector"
    add("--public-host", type=_hosts, default=(), metavar="HOST[:PORT],...", help=hosts)


def _add_users(parser: OptionParser) -> None:
    add = parser.add_argument_group("Users").add_argument
    add("--accounts", metavar="DIR", help="public keys, one authorized_keys file per login: opens the front door")
    admins = "accounts that may list and end all sessions, and read /metrics, from anywhere (none)"
    add("--admins", type=_logins, default=(), metavar="LOGIN,...", help=admins)
    forbidden = "accounts, or * for all, whose jobs may forward no connections (none): mlogin -L, -R, -D"
    add("--no-forwarding", type=_logins_or_all, default=(), metavar="LOGIN,...", help=forbidden)
    monitors = "addresses and networks, of a Prometheus, that may read /metrics without a signature (none)"
    add("--metrics-from", type=networks, default=(), metavar="ADDR/NET,...", help=monitors)
    add(
        "--trusted-network",
        action="store_true",
        help="allow an address that is not loopback: everyone who can reach it may attach to any session",
    )
    only = "serve no /attach/ and no /status: where a forwarder on this host leads strangers to its loopback"
    add("--front-door-only", action="store_true", help=only)
    add("--no-status", action="store_true", help="serve no /status, which lists the sessions")
    add(
        "--allow-origin", type=_origins, default=(), metavar="URL,...", help="web origins whose pages may attach (none)"
    )
    lifetime = "how far ahead a pre-signed URL may expire (%(default)g)"
    add("--max-url-lifetime", type=float, default=DEFAULTS.max_url_lifetime, metavar="S", help=lifetime)
    add("--legacy-signatures", action="store_true", help="take signatures of old clients: Date alone, and rsa-sha1")


def _add_site(parser: OptionParser) -> None:
    add = parser.add_argument_group("Several processes and reflectors").add_argument
    workers = "processes that share the port, 0 or auto: one for each processor (%(default)s)"
    add("--workers", type=_workers, default=1, metavar="N", help=workers)
    directory = "where sessions are registered (%(default)s); redis:... for several reflectors"
    add("--directory", default=DEFAULTS.directory, metavar="URL", help=directory)
    add("--advertise", metavar="HOST[:PORT]", help="where other reflectors reach this one (where it listens)")
    known = "what all reflectors that share a directory know, private to its owner (mode 600)"
    add("--site-secret-file", metavar="FILE", help=known)
    state = "where a single reflector keeps what sessions need to outlive its restart; made if it is missing (none)"
    add("--state-dir", metavar="DIR", help=state)


def _add_times(parser: OptionParser) -> None:
    add = parser.add_argument_group("Times").add_argument
    wait, ping, drain = "wait for an agent (%(default)g)", "ping after this silence (%(default)g)", "after SIGTERM"
    add("--wait-timeout", type=float, default=DEFAULTS.wait_timeout, env_var=WAIT_TIMEOUT, metavar="S", help=wait)
    add("--keepalive", type=float, default=DEFAULTS.keepalive, metavar="S", help=ping)
    add("--drain-timeout", type=float, default=DEFAULTS.drain_timeout, metavar="S", help=f"{drain} (%(default)g)")


def _add_log(parser: OptionParser) -> None:
    add = parser.add_argument_group("Log").add_argument
    add("--log-format", choices=LOG_FORMATS, help="default: console on a terminal, else json (bunyan's fields)")
    add("--log-level", choices=LOG_LEVELS, default="info", help="%(default)s")


def _workers(text: str) -> int:
    count = 0 if text == "auto" else int(text) if text.isdecimal() else -1
    if not 0 <= count <= MAX_WORKERS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to {MAX_WORKERS}, 0 or auto")
    return count or min(MAX_WORKERS, usable_processors())


def usable_processors() -> int:
    """Returns the number of processors that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _origins(text: str) -> tuple[str, ...]:
    return _words(text, r"[a-z][a-z0-9+.-]*://[a-z0-9.\-\[\]:]+", "an origin, such as https://jobs.example.com")


def _hosts(text: str) -> tuple[str, ...]:
    return _words(text, r"([a-z0-9_.\-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?", "a host, or HOST:PORT")


def _logins(text: str) -> tuple[str, ...]:
    return _words(text, LOGIN, "a login", lower=False)


def _logins_or_all(text: str) -> tuple[str, ...]:
    return _words(text, r"%s|\*" % LOGIN, "a login, or *", lower=False)


def _words(text: str, form: str, what: str, *, lower: bool = True) -> tuple[str, ...]:
    words = tuple(word for word in re.split(r"[,\s]+", text.lower() if lower else text) if word)
    wrong = next((word for word in words if not re.fullmatch(form, word)), None)
    if wrong is not None:
        raise argparse.ArgumentTypeError(f"{wrong!r} is not {what}")
    return words


def config_of(options: SimpleNamespace, timeouts: Timeouts) -> ReflectorConfig:
    """Returns the configuration that the parsed `options` describe."""
    archive = Path(medusa.__file__).parent / "data" / "agent.sh"
    return ReflectorConfig(
        bind_ip=options.bind_ip,
        port=options.port,
        raw_port=options.raw_port,
        directory=options.directory,
        trusted_network=options.trusted_network,
        wait_timeout=options.wait_timeout,
        keepalive=options.keepalive,
        drain_timeout=options.drain_timeout,
        max_message=options.max_message,
        archive=str(archive) if archive.is_file() else None,
        accounts=options.accounts,
        legacy_signatures=options.legacy_signatures,
        max_url_lifetime=options.max_url_lifetime,
        allow_origin=options.allow_origin,
        public_host=options.public_host,
        front_door_only=options.front_door_only,
        no_status=options.no_status,
        admins=options.admins,
        no_forwarding=options.no_forwarding,
        metrics_from=options.metrics_from,
        tls_cert=options.tls_cert,
        tls_key=options.tls_key,
        publish=options.publish,
        advertise=options.advertise,
        site_secret_file=options.site_secret_file,
        state_dir=options.state_dir,
        timeouts=timeouts,
        **limit_settings(options),
    )


def _check(lifeline: int | None) -> None:
    try:
        if lifeline is not None:
            os.fstat(lifeline)
    except (OSError, OverflowError):
        raise ConfigError(f"lifeline: {lifeline} is not an open descriptor") from None
