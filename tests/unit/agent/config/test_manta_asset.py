from __future__ import annotations

import socket
import threading

import pytest

from agent.config.configuration import ConfigError
from agent.config.manta_asset import asset_object, delete_object


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/assets/poe/stor/medusa-config-1.json", "/poe/stor/medusa-config-1.json"),
        ("/assets/../etc/stor/x", None),
        ("/etc/stor/x", None),
        ("/assets/x.json", None),
    ],
)
def test_object_behind_an_asset(path: str, name: str | None) -> None:
    assert asset_object(path) == name


class Store:
    """Answers one request with a status."""

    def __init__(self, status: int) -> None:
        self.request = b""
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/"
        self._thread = threading.Thread(target=self._serve, args=(status,))
        self._thread.start()

    def _serve(self, status: int) -> None:
        with self._socket, self._socket.accept()[0] as peer:
            while b"\r\n\r\n" not in self.request:
                self.request += peer.recv(65536)
            peer.sendall(b"HTTP/1.1 %d Whatever\r\nContent-Length: 0\r\n\r\n" % status)

    def join(self) -> bytes:
        self._thread.join()
        return self.request


@pytest.mark.parametrize("status", [204, 404])
def test_object_is_deleted(status: int) -> None:
    store = Store(status)
    delete_object(store.url, "/poe/stor/medusa config.json")
    request = store.join()
    assert request.startswith(b"DELETE /poe/stor/medusa%20config.json HTTP/1.1\r\n")
    assert b"\r\nHost: 127.0.0.1:" in request


def test_store_that_refuses() -> None:
    store = Store(503)
    with pytest.raises(ConfigError, match="answered 503"):
        delete_object(store.url, "/poe/stor/x")
    store.join()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        (None, "MANTA_URL is not set"),
        ("https://x/", "no http URL"),
        ("http://a:b/", "."),
        ("http://127.0.0.1:1/", "refused"),
    ],
)
def test_store_that_cannot_be_reached(url: str | None, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        delete_object(url, "/poe/stor/x")
