"""Says which signals the agent passes on to a step, and how it takes them."""

from __future__ import annotations

import os
import signal
from typing import FrozenSet, List

OWN = frozenset((signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD))
"""The signals that cannot be handled, or that are about the agent's own children."""

FAULTS = frozenset((signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL))
TAKEN = FAULTS | {signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTOU}
"""The signals that have no handler. They are blocked, and the agent checks at intervals whether one is pending.

- FAULTS: a handler would return to the instruction that failed. The instruction would fail again, and so on for ever.
  But if the signal is blocked, the kernel ends the agent when an instruction of the agent fails.
- SIGPIPE and SIGXFSZ: the kernel also sends these to the agent because of the agent's own output. Such a signal must
  not reach the step, but a handler cannot tell where a signal comes from.
- SIGTTOU: the agent gets it if it is a background job and its terminal refuses its output. After a handler, the agent's
  write would be tried again and refused again, for ever.
"""

_HANDLED: List[int] = sorted(signal.valid_signals() - OWN - TAKEN)
PASSED_ON = tuple(number for number in _HANDLED if isinstance(number, signal.Signals))
UNNAMED = tuple(number for number in _HANDLED if not isinstance(number, signal.Signals))
"""The signals without a name in Python that the agent's handler passes on to the step.

PASSED_ON are the signals with a name that this handler passes on.
"""

ENDS_STEP = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""The signals among PASSED_ON that ask the step to end."""

STOPS = frozenset((signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU))
"""The signals that stop a process until SIGCONT. If one of them has stopped the step, the agent stops too."""

_FROM_KEYS = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP, signal.SIGWINCH)
"""The signals that a terminal sends to the step directly, so that the agent need not pass them on."""


def stop(number: int) -> None:
    """Suspends the agent by the signal `number` until SIGCONT comes. The agent's parent then sees it as stopped."""
    handler = signal.signal(number, signal.SIG_DFL) if number != signal.SIGSTOP else None
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])
    os.kill(os.getpid(), number)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    if handler is not None:
        signal.signal(number, handler)


def terminal_signals() -> FrozenSet[int]:
    """Returns the signals that keys of the terminal cause. For example, Control-C causes SIGINT.

    The agent and the step both get such a signal from the terminal. The agent must not pass it on, because the step
    would get it twice. Returns no signals if the agent has no terminal.
    """
    handled = {number for number in _FROM_KEYS if signal.getsignal(number) is not signal.SIG_IGN}
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return frozenset()
    return frozenset(handled if hasattr(signal, "sigtimedwait") else ())
