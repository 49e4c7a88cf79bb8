"""What tests of several parts of mlogin need."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from medusa.client.keys.account import Account
from medusa.client.keys.keyfile import KeyFile
from medusa.client.terminal.signals import Signals
from tests.signing import Key, write_key


@pytest.fixture(scope="session")
def account(key: Key, tmp_path_factory: pytest.TempPathFactory) -> Account:
    """An account whose clock stands at 1000."""
    path = write_key(tmp_path_factory.mktemp("keys") / "key", key)
    return Account("jill", None, KeyFile(path).signer(), lambda: 1000.0)


@pytest.fixture
def tty() -> Iterator[int]:
    """A terminal."""
    master, slave = os.openpty()
    yield slave
    os.close(master)
    os.close(slave)


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """The reading and the writing end of a pipe."""
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


@pytest.fixture
def signals() -> Iterator[Signals]:
    """This process's signals, as mlogin takes them."""
    with Signals() as signals:
        yield signals
