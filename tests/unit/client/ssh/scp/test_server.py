"""Which commands are those of a client's scp."""

from __future__ import annotations

import pytest

from medusa.client.ssh.scp.server import is_scp


@pytest.mark.parametrize("command", ["scp -t x", "scp -v -r -p -d -t .", "scp -f a b", "scp -t -- -x", "scp -f 'a\nb'"])
def test_of_a_client(command: str) -> None:
    assert is_scp(command)


@pytest.mark.parametrize(
    "command", ["scp", "scp -t ", "scp x host:", "scp -rt x", "scp -3 -t x", "scp2 -t x", "ls; scp -t x"]
)
def test_of_a_user(command: str) -> None:
    assert not is_scp(command)
