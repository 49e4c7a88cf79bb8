"""Parses the options of `agent.sh wrap`: where to dial when the step has failed, and how long to wait for a client."""

from __future__ import annotations

import argparse
import os
import re
import select
import shlex
import signal
import subprocess
import time
import uuid
from typing import Dict, List, Mapping, NoReturn, Optional
from urllib.parse import unquote, urlsplit

from agent.command.encoding import to_bytes
from agent.config.configuration import MAX_BYTES, Config, ConfigError, NotConfigured, checked_url
from agent.config.manta_asset import ASSETS
from agent.config.shared_options import (
    add_header_options,
    add_output_wait,
    headers_of,
    no_forwarding,
    output_wait,
    switch,
)
from agent.config.sources import configured, obtain
from agent.dial.announce import public_part
from agent.timeouts import DEFAULT_TIMEOUTS
from medusa.help_text import HelpParser, Section
from medusa.option_types import seconds, with_hint
from medusa.protocol import attach_path
from medusa.protocol.record import field, record
from medusa.transports.dial.headers import NO_HEADERS, Headers

HOLD = 600.0
"""Seconds to wait for a client, unless an option says otherwise."""

SESSION = r"[a-z0-9_][a-z0-9_.:@+-]{0,254}"

_WAYS = "give --reflector URL, or --url-command COMMAND for a reflector with accounts; more: agent.sh wrap --help"

_SHOWN_AS = {"ws": "http", "wss": "https"}


SECTIONS = (
    Section(
        "Examples",
        (
            ("sh agent.sh wrap --reflector URL -- make test", "in a network that is trusted"),
            (
                "MEDUSA_URL_COMMAND='medusa sign-url ... \"$MEDUSA_SESSION\"' \\",
                "signed for a reflector with accounts, after a failure only",
            ),
            ("  sh agent.sh wrap --hold 1800 -- make test", ""),
        ),
    ),
    Section(
        "Variables",
        (
            ("MEDUSA_HOLD, MEDUSA_SESSION", "set --hold and --session"),
            ("MEDUSA_NO_FORWARDING", "true: as --no-forwarding"),
            ("MEDUSA_RELEASE_ON_EXIT", "true: as --release-on-exit"),
            ("MEDUSA_OUTPUT_WAIT", "sets --output-wait"),
            ("MEDUSA_URL_COMMAND, MEDUSA_REFLECTOR", "set --url-command and --reflector"),
            ("MEDUSA_SIGNED_URL, MEDUSA_AGENT_CONFIG", "the URL to dial, and the file for --config"),
            ("MEDUSA_INSECURE_TLS", "true: trust any certificate"),
            ("MEDUSA_HEADER, MEDUSA_HEADER_COMMAND", "set --header and --header-command"),
        ),
        "The options override them. COMMAND sees neither them nor the options.",
    ),
    Section("Exit status", (("that of COMMAND", "128+N if signal N ended it"), ("2", "no COMMAND is given"))),
)


@record
class Options:
    """The values of the options. Either `config` has the URL to dial, or `command` prints it.

    Attributes:
        hold: seconds to wait for a client; 0 for no session at all.
        session: the id of the session for which `command` prints a URL.
        config: the configuration with the URL; None if `command` prints the URL.
        command: the URL command, a text for sh.
        insecure_tls: True if the certificate of the server at the URL that `command` prints is not to be verified.
        headers: further header fields for the request to the URL that `command` prints.
        forbidden: why the agent forwards no connections; "" if it does.
        release: True to end the hold as soon as a user ends the shell, for example by `exit`.
        output_wait: seconds for which output waits for a client whose link is lost.
    """

    hold: float
    session: str
    config: Optional[Config] = field(default=None, repr=False)
    command: Optional[str] = None
    insecure_tls: bool = False
    headers: Headers = NO_HEADERS
    release: bool = False
    forbidden: str = ""
    output_wait: float = DEFAULT_TIMEOUTS.parted_timeout

    def target(self, environ: Mapping[str, str], timeout: float) -> Config:
        """Returns the configuration with the URL to dial. If there is a URL command, runs it to get the URL.

        Args:
            timeout: seconds for the URL command.

        Raises:
            ConfigError: the URL command failed, or printed no URL that the agent can dial.
        """
        if self.config is not None:
            return self.config
        more = {"MEDUSA_SESSION": self.session, "MEDUSA_HOLD": "%d" % -(-self.hold // 1)}
        url = first_line(self.command or "", {**environ, **more}, timeout)
        return Config(checked_url("the URL command's output", url), self.insecure_tls, headers=self.headers)


class _Parser(HelpParser):
    """A parser that raises ConfigError instead of exiting, because the step must run in any case."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(with_hint(message, self))


def parse(words: List[str], environ: Mapping[str, str], assets: str = ASSETS) -> Options:
    """Parses and returns the options. Environment variables replace options that are missing.

    Args:
        words: the words of the command line before `--`.
        environ: the agent's environment.
        assets: the directory of the job's assets.

    Raises:
        ConfigError: an option is wrong, or nothing says where to dial.
    """
    given = make_parser().parse_args(words)
    if len([option for option in (given.url_command, given.reflector, given.config) if option]) > 1:
        raise ConfigError("--url-command, --config and --reflector each say where to dial: give one of them")
    hold = _hold(environ) if given.hold is None else given.hold
    session = given.session or environ.get("MEDUSA_SESSION") or str(uuid.uuid4())
    if not re.fullmatch(SESSION, session):
        raise ConfigError("--session: not an id of lower case letters, digits and . _ - : @ +")
    command, base = given.url_command, given.reflector
    if not (command or base or given.config):
        command = environ.get("MEDUSA_URL_COMMAND")
        base = None if configured(environ) else environ.get("MEDUSA_REFLECTOR")
    insecure = given.insecure_tls or switch("MEDUSA_INSECURE_TLS", environ)
    headers = headers_of(given.header, given.header_command, environ)
    release = given.release_on_exit or switch("MEDUSA_RELEASE_ON_EXIT", environ)
    forbidden = no_forwarding(given.no_forwarding, environ)
    wait = output_wait(given.output_wait, environ, DEFAULT_TIMEOUTS.parted_timeout)
    if hold == 0 or command:
        return Options(hold, session, None, command, insecure, headers, release, forbidden, wait)
    try:
        if base:
            found = Config(_attach_url(base, session), insecure, headers=headers)
        else:
            found = obtain(None, given.config, insecure, environ, assets, headers)
        return Options(hold, session, found, release=release, forbidden=forbidden, output_wait=wait)
    except NotConfigured as error:
        raise NotConfigured("no configuration: %s%s" % (_WAYS, error.more), error.more) from None


def make_parser() -> HelpParser:
    """Returns the parser of the options of `agent.sh wrap`."""
    usage = "agent.sh wrap [OPTION...] -- COMMAND [ARGUMENT...]"
    text = "Runs COMMAND; if it fails, keeps a terminal in its place for a user to look into it."
    parser = _Parser("agent.sh wrap", usage, text, allow_abbrev=False, sections=SECTIONS)
    add = parser.add_argument_group("The session after a failure").add_argument
    add("--hold", metavar="S", type=seconds, help="seconds in which users can come (%d); 0: no session" % HOLD)
    text = "end the hold as soon as a user leaves by `exit`; by default it goes on, however users leave"
    add("--release-on-exit", action="store_true", help=text)
    add("--no-forwarding", action="store_true", help="forward no connections: no mlogin -L, -R and -D")
    add_output_wait(add, DEFAULT_TIMEOUTS.parted_timeout)
    add("--session", metavar="ID", help="the session's id; by default one that nobody can guess")
    add = parser.add_argument_group("Where to dial, one of").add_argument
    text = "run by sh when COMMAND has failed, prints the URL to dial, signed for session $MEDUSA_SESSION"
    add("--url-command", metavar="COMMAND", help=text)
    add("--config", metavar="FILE", help="a file with the URL, as without wrap")
    add("--reflector", metavar="URL", help="a reflector without accounts, in a network that is trusted")
    parser.add_argument("--insecure-tls", action="store_true", help="trust any certificate")
    add_header_options(parser.add_argument)
    return parser


def _hold(environ: Mapping[str, str]) -> float:
    try:
        return seconds(environ.get("MEDUSA_HOLD") or str(HOLD))
    except argparse.ArgumentTypeError as error:
        raise ConfigError("MEDUSA_HOLD: %s" % error) from None


def _attach_url(base: str, session: str) -> str:
    url = checked_url("--reflector", base).rstrip("/")
    if "?" in url or "#" in url or "@" in url:
        raise ConfigError("--reflector: no user name, query or fragment may stand in it")
    return url + attach_path.build(session, attach_path.AGENT)


def client_command(url: str) -> str:
    """Returns the mlogin command by which a user reaches the agent that dials `url`. It contains no secret.

    If the session belongs to no account, the command has an empty `-a`. Otherwise mlogin would use the account that the
    user's config file may name.

    If the URL has an unknown form, returns a text with the public part of the URL.
    """
    parts = urlsplit(url)
    found = attach_path.parse_after_prefix(parts.path)
    if found is None or found[1].role != attach_path.AGENT or not found[1].raw_id:
        return "a client at %s" % public_part(url)
    prefix, attach = found
    scheme = _SHOWN_AS.get(parts.scheme, parts.scheme)
    base = "%s://%s%s" % (scheme, parts.netloc.rpartition("@")[2], prefix)
    words = ["mlogin", "--reflector", base, "--session", unquote(attach.raw_id)]
    words += ["-a", attach.login]
    return " ".join(map(shlex.quote, words))


def first_line(command: str, environ: Dict[str, str], timeout: float) -> str:
    """Runs a shell command. Returns the first line that it prints.

    Args:
        timeout: seconds for the command to end.

    Raises:
        ConfigError: the command failed or did not end in time. The text quotes nothing that the command printed.
    """
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            env={to_bytes(name): to_bytes(value) for name, value in environ.items()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise ConfigError("the URL command could not be started: %s" % error) from None
    assert process.stdout is not None
    until = time.monotonic() + timeout
    try:
        line = _first_line(process.stdout.fileno(), until)
        status = process.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        raise ConfigError("the URL command did not end in %.0f s" % timeout) from None
    finally:
        process.stdout.close()
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status != 0:
        raise ConfigError("the URL command ended with status %d" % (status if status >= 0 else 128 - status))
    return line


def _first_line(fd: int, until: float) -> str:
    data = b""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    while b"\n" not in data and len(data) <= MAX_BYTES:
        if not poller.poll(max(0.0, 1000 * (until - time.monotonic()))):
            raise subprocess.TimeoutExpired("", 0)
        more = os.read(fd, 4096)
        if not more:
            break
        data += more
    return data.partition(b"\n")[0].decode("utf-8", "replace").strip()
