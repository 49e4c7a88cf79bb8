"""One interactive job in a Manta, step by step, as the original `mlogin` takes them. Each step may block."""

from __future__ import annotations

import json
import shlex
import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol

from medusa.client.cleanup.signed_request import SignedRequest
from medusa.client.launchers.base import URL_LIFETIME, JobRequest, JobState, Wishes
from medusa.client.launchers.manta.api import MantaError, ObjectInfo, normal_path
from medusa.client.launchers.polled import Job
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

RENEWAL = URL_LIFETIME / 2
"""Seconds between two configs of a waiting job: whenever its turn comes, the agent has as long to start. Also between
two sets of requests for the guard: a signed Date is believed for as long as a URL lives."""

MAX_ERRORS = 10
"""Of a job, that are told."""

_NOT_FOUND, _FORBIDDEN, _CONFLICT = 404, 403, 409
_TROUBLE = (MantaError, Failure)
"""Failure: the ssh-agent does not sign any more."""


class Api(Protocol):
    """What is used of medusa.client.launchers.manta.api.MantaClient."""

    def head_object(self, path: str) -> ObjectInfo: ...

    def get_object(self, path: str) -> bytes: ...

    def put_object(self, path: str, data: bytes, content_type: str, durability: int | None = None) -> None: ...

    def delete_object(self, path: str) -> None: ...

    def create_job(self, job: dict[str, Any]) -> str: ...

    def add_job_key(self, job_id: str, key: str) -> None: ...

    def end_job_input(self, job_id: str) -> None: ...

    def job_status(self, job_id: str) -> dict[str, Any]: ...

    def job_errors(self, job_id: str) -> list[dict[str, Any]]: ...

    def cancel_job(self, job_id: str) -> None: ...

    def prepared_delete(self, path: str) -> SignedRequest: ...

    def prepared_cancel(self, job_id: str) -> SignedRequest: ...


class MantaJob(Job):
    """create, start, then look again and again; close in any case. For one thread at a time.

    Attributes:
        job_id: None until it is created.

    Args:
        ledger: gets the requests that undo it all if this process is killed.
        target: the object to work on, None for a job without input.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        api: Api,
        ledger: Ledger,
        login: str,
        wishes: Wishes,
        target: str | None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises MantaError: a path that is none."""
        super().__init__("not created")
        self._api = api
        self._ledger = ledger
        self._wishes = wishes
        self._agent = normal_path(wishes.agent, login)
        self._assets = [normal_path(asset, login) for asset in wishes.assets]
        self._target = None if target is None else normal_path(target, login)
        self._config = f"/{login}/stor/medusa-config-{uuid.uuid4()}.json"
        self._clock = clock
        self._request: JobRequest | None = None
        self._renew_at = self._insure_at = 0.0
        self._insured: dict[str, str] = {}
        self._ended = False
        self.job_id: str | None = None

    def create(self) -> str:
        """Checks the object and creates the job, which waits for its input. Raises Failure or MantaError."""
        if self._target is not None:
            self._check_target(self._target)
        self.job_id = self._api.create_job(self._description())
        self.state = JobState(alive=True, words="created")
        self._insure()
        return self.job_id

    def start(self, request: JobRequest) -> None:
        """Gives the job its config and its input; what goes wrong is in `state`."""
        assert self.job_id is not None
        self._request = request
        try:
            self._insure()
            self._put_config()
            if self._target is not None:
                self._api.add_job_key(self.job_id, self._target)
            self._api.end_job_input(self.job_id)
        except _TROUBLE as error:
            self.fail(str(error))
        else:
            self.state = JobState(alive=True, words="queued")

    def look(self, *, waiting: bool) -> None:
        """Asks how the job fares; while `waiting` for its agent, also keeps its config fresh."""
        assert self.job_id is not None
        words = "unknown"
        try:
            status = self._api.job_status(self.job_id)
            if status.get("state") == "done":
                self._done(status)
                return
            words = printable(str(status.get("state")))
            if waiting and self._clock() >= self._renew_at:
                self._put_config()
            if self._clock() >= self._insure_at:
                self._insure()
        except _TROUBLE as error:
            self.state = JobState(alive=True, words=f"{words}; {error}")
        else:
            self.state = JobState(alive=True, words=words)

    def close(self, *, clean: bool) -> list[str]:
        """Removes the config, and cancels the job unless it ended or will, after a `clean` session.

        Returns:
            What could not be done, as lines that tell the user what to do.
        """
        left = []
        if self.job_id is not None and not clean and not self._ended:
            left += self._cancel(self.job_id)
        else:
            self._uninsure("cancel")
        if self._request is not None:
            left += self._delete_config()
        return left

    def _check_target(self, target: str) -> None:
        try:
            info = self._api.head_object(target)
        except MantaError as error:
            reasons = {_NOT_FOUND: "there is no such object", _FORBIDDEN: "you may not read that object"}
            if error.status in reasons:
                raise Failure(f"{printable(target)}: {reasons[error.status]}") from None
            raise
        if info.is_directory:
            raise Failure(f"{printable(target)} is a directory; a job works on an object")

    def _description(self) -> dict[str, Any]:
        phase = {
            "exec": shlex.quote("/assets" + self._agent),
            "type": "reduce" if self._target is None else "map",
            "assets": [self._agent, self._config, *self._assets],
        }
        wishes = {name: getattr(self._wishes, name) for name in ("memory", "disk", "init", "image")}
        phase.update({name: wish for name, wish in wishes.items() if wish is not None})
        return {"name": "interactive compute job", "phases": [phase]}

    def _put_config(self) -> None:
        assert self._request is not None
        config = json.dumps(self._request.config(URL_LIFETIME)).encode()
        self._api.put_object(self._config, config, "application/json", durability=1)
        self._renew_at = self._clock() + RENEWAL

    def _cancel(self, job_id: str) -> list[str]:
        try:
            self._api.cancel_job(job_id)
        except _TROUBLE as error:
            if _status(error) not in (_NOT_FOUND, _CONFLICT):  # it is over
                return [f"job {job_id} is not cancelled ({error}); cancel it by: mjob cancel {job_id}"]
        self._uninsure("cancel")
        return []

    def _delete_config(self) -> list[str]:
        try:
            self._api.delete_object(self._config)
        except _TROUBLE as error:
            if _status(error) != _NOT_FOUND:  # an agent that came has deleted it
                return [f"{self._config} is not removed ({error}); remove it by: mrm {self._config}"]
        self._uninsure("delete")
        return []

    def _insure(self) -> None:
        """What the guard is to send if this process dies, signed anew."""
        assert self.job_id is not None
        fresh = {"cancel": self._api.prepared_cancel(self.job_id).text()}
        if self._request is not None:
            fresh["delete"] = self._api.prepared_delete(self._config).text()
        for name, text in fresh.items():
            if text != self._insured.get(name):  # signed within the same second, it is the same
                self._ledger.add("request", text)
                self._uninsure(name)
                self._insured[name] = text
        self._insure_at = self._clock() + RENEWAL

    def _uninsure(self, name: str) -> None:
        text = self._insured.pop(name, None)
        if text is not None:
            self._ledger.remove("request", text)

    def _done(self, status: dict[str, Any]) -> None:
        self._ended = True
        self.over("was cancelled" if status.get("cancelled") else "ended", self._reasons(status))

    def _reasons(self, status: dict[str, Any]) -> list[str]:
        stats = status.get("stats")
        stats = stats if isinstance(stats, dict) else {}
        lines = []
        if stats.get("retries"):
            lines.append("the Manta's compute engine failed in passing; try again")
        if stats.get("errors"):
            lines += self._errors()
        return lines

    def _errors(self) -> list[str]:
        assert self.job_id is not None
        try:
            errors = self._api.job_errors(self.job_id)[:MAX_ERRORS]
        except _TROUBLE as error:
            return [str(error)]
        lines = [printable(f"{error.get('code')}: {error.get('message')}", 1024) for error in errors]
        return lines + self._last_words(errors) + self._missing_agent()

    def _last_words(self, errors: list[dict[str, Any]]) -> list[str]:
        """The end of what the first task that failed wrote to stderr."""
        path = next((str(error["stderr"]) for error in errors if error.get("stderr")), None)
        try:
            text = b"" if path is None else self._api.get_object(path)
        except _TROUBLE:
            return []
        return [f"  {printable(line)}" for line in text.decode("utf-8", "replace").splitlines()[-MAX_ERRORS:]]

    def _missing_agent(self) -> list[str]:
        try:
            self._api.head_object(self._agent)
        except _TROUBLE as error:
            if _status(error) == _NOT_FOUND:
                path = printable(self._agent)
                return [f"there is no agent's archive at {path}; publish it by: medusa publish manta:{path}"]
        return []


def _status(error: Exception) -> int | None:
    return error.status if isinstance(error, MantaError) else None
