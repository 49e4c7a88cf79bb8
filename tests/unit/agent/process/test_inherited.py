from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable

import pytest

from agent.process.inherited import IGNORED, NOTHING, Inherited, more_descriptors, no_core_dumps

PIPE, XFSZ = 1 << signal.SIGPIPE - 1, 1 << signal.SIGXFSZ - 1


def in_a_child(action: Callable[[], bool]) -> bool:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if action() else 1)
    return os.waitpid(pid, 0)[1] == 0


@pytest.mark.parametrize(
    ("mask", "ignored"),
    [
        ("0", ()),
        ("", ()),
        ("?", ()),
        (f"{PIPE:x}", (signal.SIGPIPE,)),
        (f"{PIPE | XFSZ | 1:016x}", (signal.SIGPIPE, signal.SIGXFSZ)),
    ],
)
def test_what_python_ignores_is_not_what_the_job_ignores(mask: str, ignored: tuple[int, ...]) -> None:
    found = Inherited.found({IGNORED: mask}).ignored & {signal.SIGPIPE, signal.SIGXFSZ}
    assert found == set(ignored)


def test_all_is_restored() -> None:
    def check() -> bool:
        signal.pthread_sigmask(signal.SIG_SETMASK, [signal.SIGUSR1])
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        found = Inherited.found({IGNORED: f"{XFSZ:x}"})
        signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        no_core_dumps()
        found.unblock()
        mine = signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGUSR1}
        found.restore()
        kept = signal.pthread_sigmask(signal.SIG_BLOCK, []) == {signal.SIGUSR1}
        wanted = {signal.SIGPIPE: signal.SIG_DFL, signal.SIGXFSZ: signal.SIG_IGN, signal.SIGCHLD: signal.SIG_IGN}
        return mine and kept and all(signal.getsignal(number) is action for number, action in wanted.items())

    assert in_a_child(check)


def test_more_descriptors_for_the_agent_alone() -> None:
    def check() -> bool:
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (300, hard))
        found = Inherited.found({})
        more_descriptors()
        more = resource.getrlimit(resource.RLIMIT_NOFILE)
        found.restore_limits()
        wanted = 8192 if hard == resource.RLIM_INFINITY else min(hard, 8192)
        return more == (wanted, hard) and resource.getrlimit(resource.RLIMIT_NOFILE) == (300, hard)

    assert in_a_child(check)


def test_the_soft_limit_of_core_files_comes_back() -> None:
    def check() -> bool:
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        soft = 4096 if hard == resource.RLIM_INFINITY else hard
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
        found = Inherited.found({})
        no_core_dumps()
        none = resource.getrlimit(resource.RLIMIT_CORE)
        NOTHING.restore_limits()
        found.restore_limits()
        return none == (0, hard) and resource.getrlimit(resource.RLIMIT_CORE) == (soft, hard)

    assert in_a_child(check)
