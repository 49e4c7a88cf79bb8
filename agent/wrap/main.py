"""`agent.sh wrap -- COMMAND`: runs a step of a job. If the step fails, offers a user a terminal on the same machine.

A step that succeeds without `wrap` must also succeed with `wrap`. If there can be no session, the reason is logged in
one line. The exit status is always that of the step.
"""

from __future__ import annotations

import os
import shlex
import signal
from typing import Dict, List, Mapping, Optional, Tuple, Union

from agent.command.encoding import to_text
from agent.command.environment import configures_agent
from agent.config.configuration import ConfigError, NotConfigured
from agent.config.manta_asset import ASSETS
from agent.dial.first import Unreachable
from agent.log import log
from agent.process.context import Context
from agent.process.inherited import NOTHING, Inherited, hide_memory, more_descriptors, no_core_dumps
from agent.process.process_tree import end_sessions
from agent.signals import PASSED_ON as PASSED_ON_BY_SESSION
from agent.signals import Stopped, StopSignals
from agent.timeouts import DEFAULT_TIMEOUTS, Timeouts
from agent.wrap.hold import Hold
from agent.wrap.options import Options, parse
from agent.wrap.step import NOT_EXECUTABLE, NOT_FOUND, Outcome, Step, end_step
from agent.wrap.step_signals import ENDS_STEP, PASSED_ON, STOPS, UNNAMED
from agent.wrap.tail import Tail, format_tail
from medusa.guard import Guard
from medusa.protocol.printable import printable
from medusa.protocol.record import replace

LC_CTYPE = "MEDUSA_LC_CTYPE"
"""The variable in which the archive's shell script saves LC_CTYPE, because Python changes LC_CTYPE in the C locale.

It holds `=` and the value of LC_CTYPE. It is empty if LC_CTYPE was not set.
"""

MAX_TITLE = 200
"""The maximum number of characters of the step's command that are shown to the user."""

EXIT_USAGE = 2
INTERRUPTED = 128 + signal.SIGINT


def main(
    argv: List[str],
    assets: str = ASSETS,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    inherited: Inherited = NOTHING,
) -> int:
    """Runs the command that follows `--` in `argv`. Returns its exit status."""
    words, command = _split(argv)
    environ = {to_text(name): to_text(value) for name, value in os.environb.items()}
    options = _parse(words, environ, assets)
    if not command:
        wrong = isinstance(options, ConfigError) and not isinstance(options, NotConfigured)
        log("%s; usage: wrap [OPTION...] -- COMMAND" % (options if wrong else "wrap: no command"))
        return EXIT_USAGE
    if isinstance(options, ConfigError):
        log("%s; should the step fail, there will be no session" % options)
    no_core_dumps()
    more_descriptors()
    hide_memory()  # before the fork of the guard, whose memory is a copy of this one
    try:
        guard = Guard.start(_clean_up)
    except OSError as error:
        return _become(command, error, inherited)
    handled = [number for number in (*PASSED_ON, *UNNAMED) if number not in inherited.ignored]
    signals = StopSignals([n for n in handled if n in ENDS_STEP], [n for n in handled if n not in ENDS_STEP])
    inherited.unblock()
    try:
        forbidden = "" if isinstance(options, ConfigError) else options.forbidden
        context = Context(signals, guard, environ, log, timeouts, inherited=inherited, forbidden=forbidden)
        status = Wrap(command, options, context, assets).run()
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


def _become(command: List[str], error: OSError, inherited: Inherited) -> int:
    """Executes the command in place of the agent, because no process can be forked.

    If the command cannot be executed, returns the exit status. Otherwise does not return.

    Args:
        error: the error of the fork, for the log.
    """
    log("%s; the step runs by itself" % error.strerror)
    inherited.restore()
    try:
        os.execvpe(command[0], command, _environment(os.environb))
    except OSError as failed:
        log("%s: %s" % (command[0], failed.strerror))
        return NOT_FOUND if isinstance(failed, FileNotFoundError) else NOT_EXECUTABLE


def _split(argv: List[str]) -> Tuple[List[str], List[str]]:
    at = argv.index("--") if "--" in argv else len(argv)
    return argv[:at], argv[at + 1 :]


def _clean_up(lines: List[str]) -> None:
    end_step(lines)
    end_sessions(lines)


class Wrap:
    """One step of a job, and the session after it if the step fails.

    Args:
        command: the command of the step, and its arguments.
        options: the options, which say where to dial; or the error, if they are wrong. The step runs in both cases.
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
        environ = _environment(os.environb)
        step = Step(self._command, environ, self._signals, context.guard, self._tail, self._timeouts, context.inherited)
        outcome = step.run()
        if outcome.status == 0:
            return 0
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
        for number in STOPS & self._signals.found.keys():  # there is no step any more that they could stop
            signal.signal(number, self._signals.found[number])
        if self._options.config is not None and self._options.config.advice:
            log(self._options.config.advice)
        environ = {to_text(name): to_text(value) for name, value in _environment(os.environb).items()}
        title = "%s (status %d)" % (printable(" ".join(map(shlex.quote, self._command)), MAX_TITLE), outcome.status)
        preface = format_tail(self._tail.bytes(), title)
        passed_on = frozenset(PASSED_ON_BY_SESSION).difference(ENDS_STEP)
        times = replace(self._timeouts, parted_timeout=self._options.output_wait)
        context = replace(self._context, environ=environ, login_shell=False, passed_on=passed_on, timeouts=times)
        Hold(self._options, outcome.words, context, self._context.environ, self._assets, preface).run()


def _environment(environ: Mapping[bytes, bytes]) -> Dict[bytes, bytes]:
    """Returns the environment for the step, made from the agent's environment.

    The step's environment lacks the variables that configure the agent. Its LC_CTYPE has the value that it had before
    the agent started, because Python may have changed the value since.
    """
    env = {name: value for name, value in environ.items() if not configures_agent(to_text(name), to_text(value))}
    locale: Optional[bytes] = environ.get(LC_CTYPE.encode())
    if locale is not None:
        env.pop(b"LC_CTYPE", None)
        env.update({b"LC_CTYPE": locale[1:]} if locale else {})
    return env
