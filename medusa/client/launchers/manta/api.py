"""A client for the part of Manta's HTTP API that `mlogin` and `medusa publish` need: objects, directories, jobs.

It sends the same paths, header fields and bodies as lib/client.js in the npm package `manta`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import posixpath
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from medusa.client.cleanup.signed_request import SignedRequest
from medusa.client.launchers.manta.errors import MantaError
from medusa.client.launchers.manta.http import MAX_ANSWER, MantaHttp, Signing, encoded
from medusa.client.timeouts import DEFAULT_TIMEOUTS, MantaTimeouts

DIRECTORY = "application/json; type=directory"
_JSON = {"Accept": "application/json"}
_JOB_ID = re.compile(r"[A-Za-z0-9\-]{1,64}\Z")


class ObjectInfo(NamedTuple):
    """Holds what Manta tells about an object: content type, size in bytes, and whether it is a directory.

    The size is None if Manta does not tell it.
    """

    type: str
    size: int | None
    is_directory: bool


def normal_path(path: str, login: str | None = None) -> str:
    """Returns a path in Manta in its shortest form.

    Resolves `.` and `..`, removes double and trailing slashes, and replaces `~~` at the start by a slash and `login`.

    Raises:
        MantaError: the path is not absolute, or has no parts.
    """
    if login and (path == "~~" or path.startswith("~~/")):
        path = f"/{login}{path[2:]}"
    if not path.startswith("/") or not path.strip("/"):
        raise MantaError(f"{path!r} is not a path in Manta: it must begin with /LOGIN/ or ~~/")
    return posixpath.normpath("/" + path.strip("/"))


class MantaClient:
    """A client for one Manta (an object store that also runs jobs) and one account. Any thread may use it.

    Every method may raise MantaError. A request is retried up to three times if the Manta cannot be reached, or answers
    502 or 503. A request is not retried if it must not be sent twice and may have reached the Manta. Redirects are not
    followed.

    Args:
        url: the address of the Manta: scheme (default: https), host and port.
        account: signs the requests. None: requests are not signed (inside a job they need no signature).
        sleep: a function that waits before a retry. Its argument is in seconds.
        max_answer: the maximum number of bytes in the body of an answer.
    """

    def __init__(
        self,
        url: str,
        account: Signing | None,
        insecure_tls: bool = False,
        timeouts: MantaTimeouts = DEFAULT_TIMEOUTS.manta,
        sleep: Callable[[float], object] = time.sleep,
        max_answer: int = MAX_ANSWER,
    ) -> None:
        self._http = MantaHttp(url, account, insecure_tls, timeouts, sleep, max_answer)
        self.login = account.login if account else None

    def head_object(self, path: str) -> ObjectInfo:
        headers = self._http.request("HEAD", self._path(path), headers={"Accept": "application/json, */*"}).headers
        kind, size = headers.get("Content-Type", ""), headers.get("Content-Length", "")
        return ObjectInfo(kind, int(size) if size.isdecimal() else None, _is_directory(kind))

    def get_object(self, path: str) -> bytes:
        return self._http.request("GET", self._path(path), headers={"Accept": "*/*"}).body

    def put_object(self, path: str, data: bytes, content_type: str, durability: int | None = None) -> None:
        """Stores `data` as an object at `path`.

        `durability`: the number of copies; None for the Manta's default, 2.
        """
        digest = hashlib.md5(data, usedforsecurity=False).digest()
        headers = {**_JSON, "Content-Type": content_type, "Content-MD5": base64.b64encode(digest).decode("ascii")}
        if durability is not None:
            headers["X-Durability-Level"] = str(durability)
        self._http.request("PUT", self._path(path), data, headers)

    def put_directory(self, path: str) -> None:
        """Creates a directory. Also succeeds if the directory already exists."""
        self._http.request("PUT", self._path(path), headers={**_JSON, "Content-Type": DIRECTORY})

    def make_directories(self, path: str) -> None:
        """Creates a directory and its parents.

        Does not create the topmost directories (/LOGIN/stor, /LOGIN/public, ...), because they always exist.
        """
        parts = normal_path(path, self.login).split("/")
        for length in range(4, len(parts) + 1):
            self.put_directory("/".join(parts[:length]))

    def delete_object(self, path: str) -> None:
        self._http.request("DELETE", self._path(path), headers=_JSON)

    def create_job(self, job: dict[str, Any]) -> str:
        """Creates a job. Returns the job's id."""
        headers = {**_JSON, "Content-Type": "application/json; type=job"}
        answer = self._http.request("POST", self._jobs(), json.dumps(job).encode("ascii"), headers)
        job_id = answer.headers.get("Location", "").rstrip("/").rpartition("/")[2]
        if not _JOB_ID.match(job_id):
            raise MantaError("the job was created, and the Manta does not say under which id")
        return job_id

    def add_job_key(self, job_id: str, key: str) -> None:
        """Adds an object to the input of a job. `key`: the object's path."""
        path = normal_path(key, self.login).encode("utf-8", "surrogateescape")
        self._http.request("POST", self._jobs(job_id, "in"), path, {**_JSON, "Content-Type": "text/plain"})

    def end_job_input(self, job_id: str) -> None:
        self._post_nothing(self._jobs(job_id, "in/end"))

    def cancel_job(self, job_id: str) -> None:
        self._post_nothing(self._jobs(job_id, "cancel"))

    def prepared_delete(self, path: str) -> SignedRequest:
        """Returns a signed request that another process can send to delete an object. It is valid for some minutes."""
        return self._http.prepare("DELETE", self._path(path))

    def prepared_cancel(self, job_id: str) -> SignedRequest:
        """Returns a signed request that another process can send to cancel a job. It is valid for some minutes."""
        return self._http.prepare("POST", self._jobs(job_id, "cancel"))

    def job_status(self, job_id: str) -> dict[str, Any]:
        """Returns the job's status. Keys: `state` (`queued`, `running`, `done`), `cancelled`, `inputDone`, `stats`."""
        return _object(self._http.request("GET", self._jobs(job_id, "status"), headers=_JSON).body)

    def job_errors(self, job_id: str) -> list[dict[str, Any]]:
        """Returns one record for each failed task of the job, with the keys `code`, `message` and `what`."""
        headers = {"Accept": "application/x-json-stream"}
        lines = self._http.request("GET", self._jobs(job_id, "err"), headers=headers).body.splitlines()
        return [_object(line) for line in lines if line.strip()]

    def _post_nothing(self, path: str) -> None:
        self._http.request("POST", path, headers={**_JSON, "Content-Type": "application/json"}, idempotent=True)

    def _path(self, path: str) -> str:
        return encoded(normal_path(path, self.login))

    def _jobs(self, job_id: str | None = None, what: str = "") -> str:
        if self.login is None:
            raise MantaError("jobs belong to an account, and none was given")
        return encoded(f"/{self.login}/jobs" if job_id is None else f"/{self.login}/jobs/{job_id}/live/{what}")


def _is_directory(content_type: str) -> bool:
    return any(part.strip().lower() == "type=directory" for part in content_type.split(";"))


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise MantaError("the Manta's answer is not a JSON object")
    return found
