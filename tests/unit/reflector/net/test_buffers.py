"""How many bytes the kernel may buffer for a link: fixed on a short one, as many as it needs on a long one."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from medusa.reflector.net.buffers import kernel, long_links, sizes
from medusa.reflector.net.buffers.kernel import fix, held, round_trip
from medusa.reflector.net.buffers.long_links import LongLinks
from medusa.reflector.net.buffers.sizes import BUFFER, LONG, is_short, to_fix

MIB = 1024 * 1024
SIZES = (socket.SO_RCVBUF, socket.SO_SNDBUF)


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.create_connection(listener.getsockname()) as near,
        listener.accept()[0] as far,
    ):
        yield near, far


@pytest.fixture
def links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LongLinks]:
    """Long links on a machine whose kernel tells nothing about its limits."""
    monkeypatch.setattr(kernel, "_SETTINGS", str(tmp_path))
    kernel._grows_too_far.cache_clear()
    made = LongLinks(limit=0)
    yield made
    made.clear()
    kernel._grows_too_far.cache_clear()


def sizes_of(sock: socket.socket) -> list[int]:
    return [sock.getsockopt(socket.SOL_SOCKET, option) for option in SIZES]


def fill(sock: socket.socket) -> None:
    sock.setblocking(False)
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(65536))


@pytest.mark.parametrize(
    ("seconds", "short"), [(None, True), (0.0, False), (1e-6, True), (LONG - 1e-6, True), (LONG, False), (0.3, False)]
)
def test_a_link_is_short_up_to_some_round_trip(seconds: float | None, short: bool) -> None:
    assert is_short(seconds) is short


def test_small_buffers_carry_100_megabytes_a_second_where_a_link_begins_to_be_long() -> None:
    assert 100e6 <= BUFFER / LONG < 110e6


@pytest.mark.parametrize(
    ("holds", "limit", "fixed"),
    [
        ([], 0, []),
        ([5, 7], 12, []),
        ([5, 7], 0, []),  # small buffers would hold as many
        ([3, 9, 4, 8], 24, []),
        ([3, 9, 4, 8], 23, [1]),
        ([3, 9, 4, 8], 15, [1]),
        ([3, 9, 4, 8], 14, [1, 3]),
        ([3, 9, 4, 8], 0, [1, 3, 2, 0]),
    ],
)
def test_those_that_hold_the_most_get_small_buffers(holds: list[int], limit: int, fixed: list[int]) -> None:
    unit = BUFFER if len(holds) == 4 else BUFFER // 4
    assert to_fix([each * unit for each in holds], limit * unit) == fixed


def test_a_short_link_gets_small_buffers(pair: tuple[socket.socket, socket.socket], links: LongLinks) -> None:
    near, far = pair
    fix(far)
    before = sizes_of(near)
    links.fit(near)
    assert sizes_of(near) == sizes_of(far) != before
    assert len(links) == 0


def test_a_socket_without_a_round_trip_is_left_as_it_is(links: LongLinks) -> None:
    near, far = socket.socketpair()
    with near, far:
        before = sizes_of(near)
        links.fit(near)
        assert sizes_of(near) == before
        assert round_trip(near) is None


def test_what_the_kernel_holds(pair: tuple[socket.socket, socket.socket]) -> None:
    near, far = pair
    assert (round_trip(near) or 0.0) > 0
    assert held(near) == held(far) == 0
    fill(near)
    assert held(near) > 0
    assert held(far) > 0
    near.close()
    assert held(near) == 0


def test_a_long_link_is_left_to_the_kernel_until_long_links_hold_too_much(
    pair: tuple[socket.socket, socket.socket], links: LongLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "LONG", 1e-9)
    near, far = pair
    before = sizes_of(near)
    links.fit(near)
    links.fit(far)
    assert (sizes_of(near), len(links)) == (before, 2)
    links.look()
    assert (sizes_of(near), len(links)) == (before, 2)  # it holds no more than with small buffers
    monkeypatch.setattr(sizes, "BUFFER", 4096)
    fill(near)
    assert held(near) > 2 * 4096
    links.look()
    with socket.socket() as fixed:
        fix(fixed)
        assert (sizes_of(near), len(links)) == (sizes_of(fixed), 0)


@pytest.mark.parametrize(
    ("by_itself", "by_program", "bounded"),
    [(32, 4, True), (32, 1, False), (8, 4, False), (6, 0.2, False)],
)
def test_a_kernel_that_would_take_too_much_for_a_long_link_is_given_a_limit(
    pair: tuple[socket.socket, socket.socket],
    links: LongLinks,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    by_itself: float,
    by_program: float,
    bounded: bool,
) -> None:
    monkeypatch.setattr(sizes, "LONG", 1e-9)
    for name, text in (
        ("ipv4/tcp_rmem", f"4096\t131072\t{by_itself * MIB:.0f}"),
        ("core/rmem_max", f"{by_program * MIB:.0f}"),
    ):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(f"{text}\n")
    near, _ = pair
    before = sizes_of(near)
    links.fit(near)
    assert (sizes_of(near) != before) is bounded
    assert sizes_of(near)[1] == before[1]  # what is sent has a limit that is small enough


def test_a_link_whose_round_trip_is_not_known_at_first_is_looked_at_again(
    pair: tuple[socket.socket, socket.socket], links: LongLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, far = pair
    found = [0.0, 0.0, 0.001]
    monkeypatch.setattr(long_links, "round_trip", lambda _: found.pop(0))
    before = sizes_of(near)
    links.fit(near)
    links.look()
    assert (sizes_of(near), len(links)) == (before, 1)
    links.look()
    fix(far)
    assert (sizes_of(near), len(links)) == (sizes_of(far), 0)


def test_links_that_are_closed_are_forgotten(
    pair: tuple[socket.socket, socket.socket], links: LongLinks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sizes, "LONG", 1e-9)
    monkeypatch.setattr(long_links, "MOST_AT_ONCE", 1)
    near, far = pair
    links.fit(near)
    links.fit(far)
    near.close()
    left = []
    for _ in range(3):
        links.look()
        left.append(len(links))
    assert left == [1, 1, 1]
    far.close()
    links.look()
    assert len(links) == 0
