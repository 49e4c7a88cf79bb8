"""Users of the stand-in for Manta, with requests written by the tests themselves."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.peers import Peer
from tests.signing import Key, authorization, date
from tests.waiting import PATIENCE

STOR = "/jill/stor"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """Manta's code in a refusal."""
        found: str = json.loads(self.body)["code"]
        return found


class User:
    """Sends requests, with a signature if there is a key."""

    def __init__(self, url: str, key: Key | None, owner: str = "jill") -> None:
        self.host, self._key, self._owner = urlsplit(url).netloc, key, owner

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Answer:
        """Sends a request. `headers` have _ for -, and replace those of the signature."""
        if self._key is not None:
            names = {"method": method.lower(), "names": ("date",)}
            when = headers.get("date", date())
            signed = authorization(self._key, self._owner, target, self.host, when, **names)  # type: ignore[arg-type]
            headers = {"date": when, "authorization": signed, **headers}
        connection = http.client.HTTPConnection(self.host, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, target, body, {name.replace("_", "-"): headers[name] for name in headers})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read())

    def refused(self, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, str]:
        answer = self.ask(method, target, body, **headers)
        return answer.status, answer.code

    def create_job(self, **phase: Any) -> str:
        wish = {"phases": [{"exec": "true", "type": "reduce", **phase}]}
        answer = self.ask("POST", "/jill/jobs", json.dumps(wish).encode())
        assert answer.status == 201
        return answer.headers["location"].rpartition("/")[2]

    def run_job(self, *inputs: str, **phase: Any) -> str:
        job = self.create_job(**phase)
        if inputs:
            assert self.ask("POST", f"/jill/jobs/{job}/live/in", "\r\n".join(inputs).encode()).status == 204
        assert self.ask("POST", f"/jill/jobs/{job}/live/in/end").status == 202
        return job


@contextlib.contextmanager
def connected(host: str) -> Iterator[Peer]:
    address, _, port = host.rpartition(":")
    with Peer(socket.create_connection((address, int(port)), timeout=PATIENCE)) as peer:
        yield peer
