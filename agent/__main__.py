"""The agent's command line. Its archive starts it through agent/archived.py."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import List, Mapping, Optional

from agent import config, family
from agent.command import to_text
from agent.dial import Unreachable, connector, dial, where
from agent.log import log
from agent.ptychild import adopt_orphans, no_core_dumps
from agent.runner import Session
from agent.wakeup import ENDING, Stopped, Wakeup
from medusa import __version__
from medusa.guard import Guard
from medusa.transports.base import Transport

RETRY_FOR = 90.0
"""Seconds: the ids of a reflector that was killed are free for others after 60."""

EXIT_BAD_CONFIG = 2
EXIT_NOT_CONNECTED = 3

EPILOG = """\
exit status: 0 a session took place, however its command ended; 2 bad usage or configuration; 3 no connection to the
reflector; 128+n stopped by signal n. The archive itself: 125 cannot unpack, 126 damaged, 127 no suitable Python.
"""


def main(argv: Optional[List[str]] = None, assets: str = config.ASSETS) -> int:
    """Run one session; the process's exit status. `assets` is where a job finds its assets."""
    _fill_standard_fds()
    options = _parse(argv)
    no_core_dumps()
    # The guard first of all: a process forked later would hold the configuration's secrets.
    guard = Guard.start(lambda lines: family.end_told(lines, options.grace))
    adopt_orphans()
    wakeup = Wakeup()
    # The archive blocks these until its directory is gone.
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
    try:
        return _run(options, assets, wakeup, guard)
    except Stopped as stopped:
        log("stopped by %s" % signal.Signals(stopped.number).name)
        return 128 + stopped.number
    finally:
        guard.done()
        wakeup.close()


def _parse(argv: Optional[List[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="agent.sh", description="Gives a job a terminal.", epilog=EPILOG)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--config", metavar="FILE", help="default: MEDUSA_CONFIG, else the job's medusa-config asset")
    parser.add_argument("--retry-for", metavar="S", type=_seconds, default=RETRY_FOR, help="default: %(default)s")
    text = "between SIGHUP and SIGKILL for what outlives the session; default: %(default)s"
    parser.add_argument("--grace", metavar="S", type=_seconds, default=family.GRACE, help=text)
    parser.add_argument("--version", action="version", version="medusa agent " + __version__)
    return parser.parse_args(argv)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise argparse.ArgumentTypeError("%r is not a number of seconds" % text)
    return value


def _fill_standard_fds() -> None:
    """Open what of 0-2 is closed: a socket in its place would be taken for the log."""
    fd = os.open(os.devnull, os.O_RDWR)
    while fd <= 2:
        fd = os.dup(fd)
    os.close(fd)


def _run(options: argparse.Namespace, assets: str, wakeup: Wakeup, guard: Guard) -> int:
    wakeup.raising = True
    try:
        wakeup.check()
        environ = {to_text(name): to_text(value) for name, value in os.environb.items()}
        link = _connect(options, assets, environ)
    except config.ConfigError as error:
        log(str(error))
        return EXIT_BAD_CONFIG
    except Unreachable as error:
        log("not connected: %s" % error)
        return EXIT_NOT_CONNECTED
    finally:
        wakeup.raising = False
    Session(link, wakeup, guard, environ, log, options.grace).run()
    return 0 if wakeup.stopped is None else 128 + wakeup.stopped


def _connect(options: argparse.Namespace, assets: str, environ: Mapping[str, str]) -> Transport:
    path = config.find(options.config, environ, assets)
    found = config.load(path)
    _delete(config.asset_object(path, assets), environ)
    log("connecting to %s" % where(found.signed_url))
    link = dial(connector(found.signed_url, found.insecure_tls), options.retry_for, log, _jitter)
    log("connected")
    return link


def _delete(name: Optional[str], environ: Mapping[str, str]) -> None:
    if name is None:
        return
    try:
        config.delete_object(environ.get("MANTA_URL"), name)
    except config.ConfigError as error:
        log("%s not deleted: %s" % (name, error))


def _jitter() -> float:
    return int.from_bytes(os.urandom(2), "big") / 65536


if __name__ == "__main__":
    sys.exit(main())
