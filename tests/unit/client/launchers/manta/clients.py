"""A client of a Manta for tests, and what it raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from medusa.client.launchers.manta.api import MantaClient
from medusa.client.launchers.manta.errors import MantaError
from tests.stores import Reply, Store

SIGNATURE = "c2lnbmF0dXJl"


class Account:
    """Its signature is the text that was to be signed."""

    login = "poseidon"

    def authorization(self, method: str, target: str, host: str) -> list[tuple[str, str]]:
        return [("Date", "now"), ("Authorization", f"{SIGNATURE} {method} {target} {host}")]


def client(url: str, naps: list[float] | None = None, insecure_tls: bool = False, **more: Any) -> MantaClient:
    """Args: naps: gets the times of all sleeps; `more`: for MantaClient."""
    return MantaClient(url, Account(), insecure_tls, sleep=(naps if naps is not None else []).append, **more)


def failure(server: Store, reply: Reply, ask: Callable[[MantaClient], object], **more: Any) -> MantaError:
    """The error if every try gets this reply."""
    server.replies = [reply] * 4
    with pytest.raises(MantaError) as caught:
        ask(client(server.url, **more))
    return caught.value
