"""Sockets that listen, and the words for those that cannot."""

from __future__ import annotations

import socket

import pytest

from medusa.reflector.config import ConfigError
from medusa.reflector.net.listen import listen


def test_takes_connections_and_does_not_block() -> None:
    with listen("127.0.0.1", 0) as listener:
        with pytest.raises(BlockingIOError):
            listener.accept()
        with socket.create_connection(listener.getsockname()), listener.accept()[0]:
            pass


def test_a_port_in_use() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"127\.0\.0\.1:{port}: address already in use; .* --port"):
            listen("127.0.0.1", port)


def test_an_address_of_another_host() -> None:
    with pytest.raises(ConfigError, match="cannot assign requested address"):
        listen("192.0.2.1", 0)
