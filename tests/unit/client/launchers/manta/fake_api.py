"""A Manta's API that notes each call and answers what the test says."""

from __future__ import annotations

import json
from typing import Any

from medusa.client.cleanup.signed_request import SignedRequest
from medusa.client.launchers.base import JobRequest
from medusa.client.launchers.manta.api import ObjectInfo
from medusa.client.launchers.manta.errors import MantaError

JOB = "1b1e0fd6-3b0e-4c3b-9b6b-0a2b8f3a6f11"
ARCHIVE = "/poseidon/public/medusa/agent.sh"


def error(status: int | None, code: str = "SomeError") -> MantaError:
    return MantaError(f"{code}: no", status, code)


class FakeApi:
    """Attributes:
    asked: method and arguments of each call, without bodies.
    errors: method -> what it raises; a list has one for each call.
    status: what job_status answers.
    objects: path -> content; None for a directory.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []
        self.errors: dict[str, Exception | list[Exception | None]] = {}
        self.status: dict[str, Any] = {"state": "queued", "stats": {}}
        self.job_error_list: list[dict[str, Any]] = []
        self.objects: dict[str, bytes | None] = {ARCHIVE: b"#!"}
        self.jobs: list[dict[str, Any]] = []
        self.prepared = 0

    def _note(self, method: str, *arguments: str) -> None:
        self.asked.append((method, *arguments))
        found = self.errors.get(method)
        if isinstance(found, list):
            found = found.pop(0) if found else None
        if found is not None:
            raise found

    def head_object(self, path: str) -> ObjectInfo:
        self._note("head_object", path)
        if path not in self.objects:
            raise error(404)
        return ObjectInfo("text/plain", 0, self.objects[path] is None)

    def get_object(self, path: str) -> bytes:
        self._note("get_object", path)
        found = self.objects.get(path)
        if found is None:
            raise error(404)
        return found

    def put_object(self, path: str, data: bytes, content_type: str, durability: int | None = None) -> None:
        self._note("put_object", path, content_type, str(durability))
        self.objects[path] = data

    def delete_object(self, path: str) -> None:
        self._note("delete_object", path)
        if self.objects.pop(path, None) is None:
            raise error(404)

    def create_job(self, job: dict[str, Any]) -> str:
        self._note("create_job")
        self.jobs.append(job)
        return JOB

    def add_job_key(self, job_id: str, key: str) -> None:
        self._note("add_job_key", job_id, key)

    def end_job_input(self, job_id: str) -> None:
        self._note("end_job_input", job_id)

    def job_status(self, job_id: str) -> dict[str, Any]:
        self._note("job_status", job_id)
        return self.status

    def job_errors(self, job_id: str) -> list[dict[str, Any]]:
        self._note("job_errors", job_id)
        return self.job_error_list

    def cancel_job(self, job_id: str) -> None:
        self._note("cancel_job", job_id)

    def prepared_delete(self, path: str) -> SignedRequest:
        return self._prepared("DELETE", path)

    def prepared_cancel(self, job_id: str) -> SignedRequest:
        return self._prepared("POST", f"/jobs/{job_id}/live/cancel")

    def _prepared(self, method: str, path: str) -> SignedRequest:
        if isinstance(found := self.errors.get("prepare"), Exception):
            raise found
        self.prepared += 1
        return SignedRequest(method, f"https://manta{path}", {"Date": str(self.prepared)})

    def configs(self) -> list[str]:
        return [path for path in self.objects if "medusa-config" in path]

    def signed_url(self) -> str:
        """The URL in the one config that exists."""
        (path,) = self.configs()
        config = json.loads(self.objects[path] or b"")
        assert config["insecure_tls"] is False
        url: str = config["signed_url"]
        return url

    def methods(self) -> list[str]:
        return [method for method, *_ in self.asked]


def request() -> JobRequest:
    """A request whose URLs are numbered."""
    count = iter(range(1, 1000))
    return JobRequest(
        session_url=lambda lifetime: f"https://manta/agent?{next(count)}&lifetime={lifetime:g}",
        archive_url="https://manta/agent.sh",
    )
