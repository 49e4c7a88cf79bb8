"""`agent.sh wrap -- COMMAND`: runs a step of a job, and offers a terminal in its place if the step fails.

If a step succeeds without `wrap`, it must succeed with it. Whatever prevents a session is logged in one line, and the
exit status is always that of the step.
"""

from __future__ import annotations

import os
import shlex
import signal
import time
from typing import Dict, List, Mapping, Optional, Tuple, Union

from agent import config
from agent.config import Config, ConfigError
from agent.dial import CONNECT_TIMEOUT, Unreachable, connector, jitter
from agent.log import log
from agent.session.command import configures_agent, to_text
from agent.session.loop import Context, SessionLoop
from agent.session.process_tree import end_sessions
from agent.session.spawn import adopt_orphans, no_core_dumps
from agent.signals import STOPPING, Stopped, StopSignals
from agent.timeouts import DEFAULT_TIMEOUTS, Timeouts
from agent.wrap import step
from agent.wrap.options import Options, client_command, parse
from agent.wrap.step import ENDS_STEP, PASSED_ON, Outcome, Step
from agent.wrap.tail import Tail, format_tail
from agent.wrap.wait import wait_for_client
from medusa.guard import Guard
from medusa.protocol.printable import printable
from medusa.transports.base import Transport
from medusa.transports.dial import ConnectRefused

LC_CTYPE = "MEDUSA_LC_CTYPE"
"""The variable in which the archive's stub saves LC_CTYPE, because Python changes LC_CTYPE in the C locale.

It holds `=` and the value of LC_CTYPE. It is empty if LC_CTYPE was not set.
"""

MAX_TITLE = 200
"""The number of characters of the command that are shown to the user."""

EXPIRY = 60.0
"""Seconds after which a URL may have expired: if it is refused then, the URL command runs again to print a new one."""

_FORBIDDEN = (401, 403)

EXIT_USAGE = 2
INTERRUPTED = 128 + signal.SIGINT


def main(argv: List[str], assets: str = config.ASSETS, timeouts: Timeouts = DEFAULT_TIMEOUTS) -> int:
    """Runs the command that follows `--` in `argv`. Returns its exit status."""
    words, command = _split(argv)
    environ = {to_text(name): to_text(value) for name, value in os.environb.items()}
    options = _parse(words, environ, assets)
    if not command:
        usage = "wrap: no command; usage: wrap [OPTION...] -- COMMAND"
        log(str(options) if isinstance(options, ConfigError) else usage)
        return EXIT_USAGE
    if isinstance(options, ConfigError):
        log("%s; should the step fail, there will be no session" % options)
    try:
        guard = Guard.start(_clean_up)
    except OSError as error:
        return _become(command, error)
    handled = [number for number in PASSED_ON if signal.getsignal(number) is not signal.SIG_IGN]
    signals = StopSignals([n for n in handled if n in ENDS_STEP], [n for n in handled if n not in ENDS_STEP])
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    try:
        status = Wrap(command, options, Context(signals, guard, environ, log, timeouts), assets).run()
    finally:
        guard.done()
        signals.close()
    if status == INTERRUPTED:
        # A shell script ends if Control-C killed its command, but goes on after an exit status.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    return status


def _parse(words: List[str], environ: Mapping[str, str], assets: str) -> Union[Options, ConfigError]:
    try:
        return parse(words, environ, assets)
    except ConfigError as error:
        return error
    except OSError as error:
        return ConfigError(str(error))


def _become(command: List[str], error: OSError) -> int:
    """Executes the command in place of the agent, because no process can be forked.

    If that fails, returns the exit status.
    """
    log("%s; the step runs by itself" % error.strerror)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    try:
        os.execvpe(command[0], command, _environment(os.environb))
    except OSError as failed:
        log("%s: %s" % (command[0], failed.strerror))
        return step.NOT_FOUND if isinstance(failed, FileNotFoundError) else step.NOT_EXECUTABLE


def _split(argv: List[str]) -> Tuple[List[str], List[str]]:
    at = argv.index("--") if "--" in argv else len(argv)
    return argv[:at], argv[at + 1 :]


def _clean_up(lines: List[str]) -> None:
    step.end_step(lines)
    end_sessions(lines)


class Wrap:
    """One step of a job, and the session after it if the step fails.

    Args:
        options: where to dial, or the error that says why that is unknown.
        context: what the session needs. Its `environ` is the agent's whole environment.
        assets: the directory of the job's assets.
    """

    def __init__(self, command: List[str], options: Union[Options, ConfigError], context: Context, assets: str) -> None:
        self._command, self._options, self._context, self._assets = command, options, context, assets
        self._signals, self._timeouts = context.signals, context.timeouts
        self._tail = Tail()

    def run(self) -> int:
        """Runs the step, and the session if the step fails. Always returns the step's exit status."""
        context = self._context
        run = Step(self._command, _environment(os.environb), self._signals, context.guard, self._tail, self._timeouts)
        outcome = run.run()
        if outcome.status == 0:
            return 0
        no_core_dumps()
        try:
            self._signals.raising = True
            self._signals.check()
            self._offer_session(outcome)
        except (ConfigError, Unreachable) as error:
            log("step %s; no session: %s" % (outcome.words, error), self._timeouts.log_timeout)
        except Stopped as stopped:
            log("step %s; stopped by %s" % (outcome.words, signal.Signals(stopped.number).name))
        except Exception as error:  # noqa: BLE001  (no error may hide the step's status)
            log("step %s; no session: %s" % (outcome.words, type(error).__name__))
        finally:
            self._signals.raising = False
        return outcome.status

    def _offer_session(self, outcome: Outcome) -> None:
        if isinstance(self._options, ConfigError):
            raise self._options
        if self._options.hold == 0:
            raise ConfigError("not asked for")
        if outcome.stopped:
            raise ConfigError("its end was asked for")
        link = self._wait_for_client(self._options, outcome)
        self._signals.raising = False
        log("connected")
        adopt_orphans()
        environ = {to_text(name): to_text(value) for name, value in _environment(os.environb).items()}
        title = "%s (status %d)" % (printable(" ".join(map(shlex.quote, self._command)), MAX_TITLE), outcome.status)
        context = Context(self._signals, self._context.guard, environ, log, self._timeouts)
        SessionLoop(link, context, format_tail(self._tail.bytes(), title)).run()

    def _wait_for_client(self, options: Options, outcome: Outcome) -> Transport:
        environ = self._context.environ
        target = _Target(options, environ, self._timeouts)
        config.delete_asset(target.config.path, environ, log, self._assets)
        text = "step %s; holding for %.0f s; to look into it: %s"
        command = client_command(target.config.signed_url)
        log(text % (outcome.words, options.hold, command), self._timeouts.log_timeout)
        return wait_for_client(target.attempt, options.hold, log, jitter)


class _Target:
    """The reflector to dial. If a URL command prints the URL, it runs again when the URL has expired.

    Attributes:
        config: the configuration with the current URL.
    """

    def __init__(self, options: Options, environ: Mapping[str, str], timeouts: Timeouts) -> None:
        self._options, self._environ, self._timeouts = options, environ, timeouts
        self.config = self._obtain()

    def _obtain(self) -> Config:
        self._since = time.monotonic()
        return self._options.target(self._environ, self._timeouts.url_timeout)

    def attempt(self, left: float) -> Transport:
        """Dials the reflector once. Returns the link.

        Args:
            left: seconds until the wait for a client ends. The attempt may take a little longer.

        Raises:
            ConnectRefused: the attempt failed.
            ConfigError: the URL command failed.
        """
        timeout = max(1.0, min(CONNECT_TIMEOUT, left))
        try:
            return connector(self.config.signed_url, self.config.insecure_tls, timeout)()
        except ConnectRefused as refused:
            fresh = time.monotonic() - self._since < EXPIRY
            if refused.status not in _FORBIDDEN or fresh or self._options.command is None:
                raise
            self.config = self._obtain()
            return connector(self.config.signed_url, self.config.insecure_tls, timeout)()


def _environment(environ: Mapping[bytes, bytes]) -> Dict[bytes, bytes]:
    """Returns the environment for the step, made from the agent's environment.

    It lacks the variables that configure the agent. LC_CTYPE, which Python may have changed, has its old value again.
    """
    env = {name: value for name, value in environ.items() if not configures_agent(to_text(name), to_text(value))}
    locale: Optional[bytes] = environ.get(LC_CTYPE.encode())
    if locale is not None:
        env.pop(b"LC_CTYPE", None)
        env.update({b"LC_CTYPE": locale[1:]} if locale else {})
    return env
