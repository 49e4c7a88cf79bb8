"""One interactive job in a Manta. It takes the same steps as the original `mlogin`."""

from __future__ import annotations

import json
import shlex
import time
import uuid
from typing import Any, Protocol

from medusa.client.cleanup.signed_request import SignedRequest
from medusa.client.launchers.base import JobRequest, MantaJobOptions
from medusa.client.launchers.manta.api import ObjectInfo, normal_path
from medusa.client.launchers.manta.errors import MantaError
from medusa.client.launchers.polled import Clock, Job
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import DEFAULT_TIMEOUTS, Timeouts
from medusa.protocol.printable import printable

MAX_ERRORS = 10
"""At most so many of a job's errors are shown, and at most so many lines of its stderr."""

_NOT_FOUND, _FORBIDDEN, _CONFLICT = 404, 403, 409
_ERRORS = (MantaError, Failure)
"""The exceptions that a request to the Manta may raise: Failure if the ssh-agent no longer signs it."""


class Api(Protocol):
    """The methods of medusa.client.launchers.manta.api.MantaClient that MantaJob calls."""

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
    """A job in a Manta. Call create() before start(). Only one thread at a time may use it. Each method may block.

    Attributes:
        job_id: the id of the job in the Manta; None until the job is created.

    Args:
        ledger: gets signed requests. If this process is killed, the guard process sends them to cancel the job and
            delete the config.
        target: the path of the object that the job works on; None for a job without input.
        clock: the module `time`, or the clock of a test.

    Raises:
        MantaError: an option is not a path in Manta.
    """

    def __init__(
        self,
        api: Api,
        ledger: Ledger,
        login: str,
        options: MantaJobOptions,
        target: str | None,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        clock: Clock = time,
    ) -> None:
        super().__init__("not created")
        self._api = api
        self._ledger = ledger
        self._options = options
        self._timeouts = timeouts
        self._agent = normal_path(options.agent, login)
        self._assets = [normal_path(asset, login) for asset in options.assets]
        self._target = None if target is None else normal_path(target, login)
        self._config = f"/{login}/stor/medusa-config-{uuid.uuid4()}.json"
        self._clock = clock
        self._request: JobRequest | None = None
        self._renew_at = self._renew_undo_at = 0.0
        self._undo: dict[str, str] = {}  # `cancel`, `delete` -> the signed request in the ledger
        self._ended = self._kept = False
        self.job_id: str | None = None

    def create(self) -> str:
        """Creates the job, which then waits for its input. Returns the job's id.

        Raises:
            Failure: the `target` cannot be the input of a job, for example because Manta has no such object. Also
                raised if the ssh-agent does not sign.
            MantaError: a request failed.
        """
        if self._target is not None:
            self._check_target(self._target)
        self.job_id = self._api.create_job(self._description())
        self.report("created")
        self._renew_undo()
        return self.job_id

    def start(self, request: JobRequest) -> None:
        """Stores the agent's config in the Manta, and ends the job's input, so that the job can run."""
        assert self.job_id is not None
        self._request = request
        try:
            self._renew_undo()
            self._put_config()
            if self._target is not None:
                self._api.add_job_key(self.job_id, self._target)
            self._api.end_job_input(self.job_id)
        except _ERRORS as error:
            self.fail(str(error))
        else:
            self.report("queued")

    def look(self, *, waiting: bool) -> None:
        """Asks the Manta for the job's state, and sets `state`.

        Renews the signed requests for the guard process before they expire. While `waiting` for the agent is True, also
        renews the agent's config.
        """
        assert self.job_id is not None
        words, problem = "unknown", None
        try:
            status = self._api.job_status(self.job_id)
            if status.get("state") == "done":
                self._done(status)
                return
            words = printable(str(status.get("state")))
            if waiting and self._clock.monotonic() >= self._renew_at:
                self._put_config()
            if self._kept:
                self._forget_all()  # `keep` may have been called while the requests were renewed
            elif self._clock.monotonic() >= self._renew_undo_at:
                self._renew_undo()
        except _ERRORS as error:
            problem = str(error)
        self.report(words, problem=problem)

    def keep(self) -> bool:
        self._kept = True
        self._forget_all()
        return True

    def close(self, *, clean: bool) -> list[str]:
        """Deletes the agent's config. Cancels the job if `clean` is False and the job has not ended.

        `clean`: True if the agent has reported the session's end. Then the job ends by itself.

        Returns:
            Lines for the user: what could not be deleted or cancelled, and how the user can do it.
        """
        left = []
        if self.job_id is not None and not clean and not self._ended:
            left += self._cancel(self.job_id)
        else:
            self._forget_undo("cancel")
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
        options = {name: getattr(self._options, name) for name in ("memory", "disk", "init", "image")}
        phase.update({name: value for name, value in options.items() if value is not None})
        return {"name": "interactive compute job", "phases": [phase]}

    def _put_config(self) -> None:
        assert self._request is not None
        config = json.dumps(self._request.config(self._timeouts.url_lifetime)).encode()
        self._api.put_object(self._config, config, "application/json", durability=1)
        self._renew_at = self._clock.monotonic() + self._timeouts.renewal_interval

    def _cancel(self, job_id: str) -> list[str]:
        try:
            self._api.cancel_job(job_id)
        except _ERRORS as error:
            if _status(error) not in (_NOT_FOUND, _CONFLICT):  # these two mean that the job has ended
                return [f"job {job_id} is not cancelled ({error}); cancel it by: mjob cancel {job_id}"]
        self._forget_undo("cancel")
        return []

    def _delete_config(self) -> list[str]:
        try:
            self._api.delete_object(self._config)
        except _ERRORS as error:
            if _status(error) != _NOT_FOUND:  # an agent deletes its config when it starts
                return [f"{self._config} is not removed ({error}); remove it by: mrm {self._config}"]
        self._forget_undo("delete")
        return []

    def _renew_undo(self) -> None:
        """Replaces the signed requests in the ledger by new ones, before they expire.

        The guard process sends these requests if mlogin is killed. A Manta accepts a signed request only for some
        minutes after it was signed.
        """
        assert self.job_id is not None
        fresh = {"cancel": self._api.prepared_cancel(self.job_id).text()}
        if self._request is not None:
            fresh["delete"] = self._api.prepared_delete(self._config).text()
        for name, text in fresh.items():
            if text != self._undo.get(name):  # two signatures made in the same second are equal
                self._ledger.add("request", text)
                self._forget_undo(name)
                self._undo[name] = text
        self._renew_undo_at = self._clock.monotonic() + self._timeouts.renewal_interval

    def _forget_all(self) -> None:
        for name in tuple(self._undo):
            self._forget_undo(name)

    def _forget_undo(self, name: str) -> None:
        text = self._undo.pop(name, None)
        if text is not None:
            self._ledger.remove("request", text)

    def _done(self, status: dict[str, Any]) -> None:
        self._ended = True
        self.over("was cancelled" if status.get("cancelled") else "ended", self._remarks(status))

    def _remarks(self, status: dict[str, Any]) -> list[str]:
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
        except _ERRORS as error:
            return [str(error)]
        lines = [printable(f"{error.get('code')}: {error.get('message')}", 1024) for error in errors]
        return lines + self._stderr_tail(errors) + self._missing_agent()

    def _stderr_tail(self, errors: list[dict[str, Any]]) -> list[str]:
        """Returns the last lines that a failed task of the job wrote to stderr.

        Takes the first task for which the Manta has stored them. `errors`: a record for each failed task.
        """
        path = next((str(error["stderr"]) for error in errors if error.get("stderr")), None)
        try:
            text = b"" if path is None else self._api.get_object(path)
        except _ERRORS:
            return []
        return [f"  {printable(line)}" for line in text.decode("utf-8", "replace").splitlines()[-MAX_ERRORS:]]

    def _missing_agent(self) -> list[str]:
        """Returns a line for the user if the Manta does not have the agent's archive. Otherwise returns no lines."""
        try:
            self._api.head_object(self._agent)
        except _ERRORS as error:
            if _status(error) == _NOT_FOUND:
                path = printable(self._agent)
                return [f"there is no agent's archive at {path}; publish it by: medusa publish manta:{path}"]
        return []


def _status(error: Exception) -> int | None:
    return error.status if isinstance(error, MantaError) else None
