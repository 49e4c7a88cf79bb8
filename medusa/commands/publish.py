"""The command `medusa publish URL`: puts the agent's archive in a place where jobs find it."""

from __future__ import annotations

import functools
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from medusa.client.archive import find_archive
from medusa.client.outcome import Failure
from medusa.commands.manta_options import SigningOptions, add_manta_options, manta_options
from medusa.commands.options.parser import VARIABLES
from medusa.commands.user_config.parser import FILES, UserOptionParser
from medusa.help_text import Section
from medusa.option_types import seconds

if TYPE_CHECKING:
    from medusa.client.keys.account import Account
    from medusa.client.launchers.manta.api import MantaClient

USAGE_ERROR = 2
INTERRUPTED = 130
"""The exit status after Control-C, the same as a shell's."""

MAX_URL = 65536
"""The largest length in bytes of a URL that is read from standard input."""

DESCRIPTION = """Put the agent's archive where jobs find it, and read it back."""

SECTIONS = (
    Section(
        "Examples",
        (
            ("medusa publish /var/www/html/agent.sh", "where a web server serves it"),
            ("medusa publish s3://jobs/agent.sh", "in a store"),
            ("medusa publish manta:/poseidon/public/medusa/agent.sh", "in a Manta"),
        ),
    ),
    Section(
        "URL",
        (
            ("manta:/poseidon/public/medusa/agent.sh", "an object of a Manta, by --url, --account and --key"),
            ("/var/www/agent.sh, file:///PATH", "a file"),
            ("https://HOST/PATH", "by PUT; needs the package aiohttp"),
            ("s3://BUCKET/KEY, gs://BUCKET/KEY", "needs the package s3fs or gcsfs"),
            ("another that fsspec knows", "needs the package of that store"),
            ("-", "the first line of standard input, as a URL may hold secrets"),
        ),
    ),
    Section(
        VARIABLES, (("MANTA_USER, MANTA_SUBUSER, MANTA_KEY_ID, MANTA_URL", "as for mlogin; MEDUSA_... override them"),)
    ),
    FILES,
    Section("Exit status", (("0", "done"), ("1", "not done"), ("2", "wrong usage"), ("130", "after Control-C"))),
)


def main(argv: Sequence[str] | None = None, http_timeout: float | None = None) -> int:
    """Runs `medusa publish`. Returns the exit status: 0, 1 after an error, 130 after Control-C.

    Raises SystemExit(2) for wrong usage.

    `http_timeout`: seconds for one request to an http or https URL; None for the default.
    """
    options = make_parser().parse_args(sys.argv[1:] if argv is None else list(argv))
    try:
        return _run(options, http_timeout)
    except KeyboardInterrupt:
        return INTERRUPTED


def make_parser() -> UserOptionParser:
    """Returns the parser of the options."""
    own = ("lifeline", "retry")
    parser = UserOptionParser("medusa publish", DESCRIPTION, USAGE_ERROR, own=own, sections=SECTIONS)
    add = parser.add_argument_group("What and where").add_argument
    # The name `url` is taken: --url names the Manta.
    add("place", metavar="URL", help="where to; see below")
    add("--archive", metavar="FILE", help="archive to publish (default: the one carried along)")
    add("--retry", metavar="SECONDS", type=seconds, help="try again after so long, until it is done")
    add("--lifeline", type=int, metavar="FD", help="stop at once when this descriptor reaches its end")
    add_manta_options(parser)
    return parser


def _run(options: SimpleNamespace, http_timeout: float | None) -> int:
    # These take time to load, which --help does not need.
    from medusa.client.launchers.manta.errors import MantaError
    from medusa.client.operator.publish import HTTP_TIMEOUT, PublishError, publish, uses_manta

    manta = manta_options(options)
    try:
        place = _first_line() if options.place == "-" else options.place
        if options.lifeline is not None:
            threading.Thread(target=_watch, args=(options.lifeline,), daemon=True).start()
        if uses_manta(place):
            manta = manta.with_account()
            manta.require("url")
        archive = find_archive(options.archive).read_bytes()
    except (Failure, OSError) as error:
        return _complain(str(error))
    account = functools.cache(lambda: _account(manta))
    while True:
        try:
            client = functools.partial(_client, manta, account)
            print(publish(archive, place, client, http_timeout or HTTP_TIMEOUT), flush=True)
            return 0
        except (Failure, MantaError, PublishError) as error:
            if getattr(error, "key_refused", False) and account().another_key():
                continue
            if options.retry is None or getattr(error, "lasting", False):
                return _complain("\n".join([str(error), *(_about_keys(error, account))]))
            _complain(f"{' '.join(str(error).split())}; next try in {options.retry:g} s")
        time.sleep(options.retry)


def _about_keys(error: Exception, account: Callable[[], Account]) -> list[str]:
    """Returns lines that name the keys that were tried. Returns no lines if `error` is not a refusal of the keys."""
    return account().keys_tried() if getattr(error, "key_refused", False) else []


def _account(given: SigningOptions) -> Account:
    from medusa.client.keys.account import Account, find_signer  # takes time to load

    host = urlsplit(given.url or "").hostname
    return Account(given.account or "", given.subuser, find_signer(given.key, host))


def _client(given: SigningOptions, account: Callable[[], Account]) -> MantaClient:
    from medusa.client.launchers.manta.api import MantaClient  # takes time to load

    return MantaClient(given.url or "", account(), given.insecure_tls)


def _complain(message: str) -> int:
    print(f"medusa publish: {message}", file=sys.stderr, flush=True)
    return 1


def _first_line() -> str:
    """Returns the first line of standard input, without its end. Raises Failure if the line is blank.

    Reads byte by byte, because `--lifeline` may name standard input: then `_watch` reads the bytes after the line.
    """
    line = b""
    while not line.endswith(b"\n") and len(line) < MAX_URL and (byte := os.read(0, 1)):
        line += byte
    if not line.strip():
        raise Failure("no URL on standard input")
    return os.fsdecode(line.rstrip(b"\r\n"))


def _watch(lifeline: int) -> None:
    """Reads the descriptor `lifeline` to its end, then ends this process at once.

    The program that started this process holds the other end of this pipe. So this process ends together with it.
    """
    try:
        while os.read(lifeline, 512):
            pass
    except OSError:
        pass
    os._exit(0)
