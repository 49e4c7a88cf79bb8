"""A session over a link with a long round trip: more bytes are on their way than fixed buffers can hold."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from bench.distant import End, long_link, reflector_at
from bench.toolchain import Unavailable
from medusa.reflector.net.buffers.sizes import BUFFER
from tests.waiting import wait_until

FIXED = 2 * BUFFER
"""The most bytes that can be on their way if the kernel may buffer BUFFER: it takes twice as many for its own needs."""

COUNTS = ("bytes_sent", "bytes_retrans", "bytes_acked")


@pytest.fixture
def ends() -> Iterator[tuple[End, End]]:
    with contextlib.ExitStack() as stack:
        try:
            near, far, _ = stack.enter_context(long_link(0.1))
        except Unavailable as reason:
            pytest.skip(str(reason))
        yield near, far


def on_their_way(end: End) -> int:
    """The bytes that were sent at this end and are not acknowledged, of the connection that has the most of them."""
    shown = subprocess.run([*end.enter, "ss", "--tcp", "--info"], capture_output=True, text=True, check=True).stdout
    found = []
    for line in shown.splitlines():
        sent, again, acknowledged = (int((re.findall(rf"\b{name}:(\d+)", line) or ["0"])[0]) for name in COUNTS)
        found.append(sent - again - acknowledged)
    return max(found)


@contextlib.contextmanager
def session(at: End, options: list[str], command: str) -> Iterator[subprocess.Popen[bytes]]:
    argv = [*at.enter, sys.executable, "-m", "medusa.commands.mlogin", "-q", *options, "-c", command]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()


def test_output_fills_a_long_link_to_the_reflector_and_from_it(ends: tuple[End, End]) -> None:
    near, far = ends
    with reflector_at(near) as (_, _, options), session(far, options, "cat /dev/zero"):
        wait_until(lambda: on_their_way(far) > FIXED, "the agent's bytes on their way to the reflector")
        wait_until(lambda: on_their_way(near) > FIXED, "the reflector's bytes on their way to mlogin")
