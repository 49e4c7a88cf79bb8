from __future__ import annotations

import contextlib
import socket

import pytest

from medusa.reflector.cluster.site_address import check_address, is_loopback_host, is_this_machine
from medusa.reflector.config import ConfigError, ReflectorConfig


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("LocalHost.", True),
        ("a.localhost", True),
        ("ip6-localhost", True),
        ("0.0.0.0", True),
        ("::", True),
        ("127.1", True),
        ("2130706433", True),
        ("0x7f.1", True),
        ("10.0.0.1", False),
        ("2001:db8::1", False),
        ("node1.example.com", False),
        ("localhost.example.com", False),
        ("", False),
    ],
)
def test_a_host_that_is_the_one_that_asks(host: str, loopback: bool) -> None:
    assert is_loopback_host(host) is loopback


def test_an_address_of_this_machine() -> None:
    assert is_this_machine("127.0.0.1")
    assert not is_this_machine("192.0.2.1")
    assert not is_this_machine("no-such-host.invalid")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, contextlib.suppress(OSError):
        sock.connect(("192.0.2.1", 9))
        assert is_this_machine(sock.getsockname()[0])


@pytest.mark.parametrize("address", ["http://127.0.0.1:1", "https://localhost:1", "http://[::1]:1", "http://0.0.0.0:1"])
@pytest.mark.parametrize(
    "directory",
    [
        "redis://192.0.2.1",
        "rediss://:secret@192.0.2.1:1/3",
        "redis+cluster://127.0.0.1,192.0.2.1",
        "redis+sentinel://192.0.2.1/main",
        "redis://no-such-host.invalid",
    ],
)
def test_a_loopback_address_is_no_use_to_reflectors_of_other_hosts(address: str, directory: str) -> None:
    with pytest.raises(ConfigError, match="the directory is on another host") as caught:
        check_address(ReflectorConfig(directory=directory), address)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("address", "directory"),
    [
        ("http://127.0.0.1:1", "redis://127.0.0.1"),
        ("http://127.0.0.1:1", "redis://localhost:1"),
        ("http://127.0.0.1:1", "redis+unix:///run/redis"),
        ("http://node1.example.com:1", "redis://192.0.2.1"),
        ("http://192.0.2.7:1", "redis://192.0.2.1"),
    ],
)
def test_addresses_that_can_be_used(address: str, directory: str) -> None:
    check_address(ReflectorConfig(directory=directory), address)
