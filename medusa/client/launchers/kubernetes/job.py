"""One session's Job in a cluster, with the Secret and ConfigMaps that belong to it. Each step may block."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from medusa.client.launchers.base import JobRequest
from medusa.client.launchers.kubernetes import cleanup, objects, status
from medusa.client.launchers.kubernetes.api import Access
from medusa.client.launchers.kubernetes.errors import BAD_REQUEST, CONFLICT, NOT_FOUND, KubeError
from medusa.client.launchers.kubernetes.options import PodOptions
from medusa.client.launchers.polled import Clock, Job
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import DEFAULT_TIMEOUTS, KubernetesTimeouts

LOG_LINES = 10
"""Lines of a failed pod's log that are shown: the last ones."""

Object = dict[str, Any]


class Api(cleanup.Deleter, Protocol):
    """The part of medusa.client.launchers.kubernetes.api.KubeClient that is used here."""

    access: Access

    def now(self) -> float: ...

    def create(self, kind: str, body: Object) -> Object: ...

    def get(self, kind: str, name: str) -> Object: ...

    def patch(self, kind: str, name: str, body: Object) -> None: ...

    def pods(self, selector: str) -> list[Object]: ...

    def events(self, name: str) -> list[Object]: ...

    def log(self, pod: str, container: str, lines: int) -> list[str]: ...


class KubeJob(Job):
    """One session's Job. For one thread at a time.

    Creating its objects takes several requests. If the cluster stops answering in between, the next `look` goes on
    where the last one failed.

    Attributes:
        name: of the Job and the Secret, random; the names of the ConfigMaps begin with it.

    Args:
        ledger: gets the command that deletes all objects if this process is killed.
        clock: the module `time`, or a test's own.
    """

    def __init__(
        self,
        api: Api,
        ledger: Ledger,
        options: PodOptions,
        archive: bytes,
        name: str,
        timeouts: KubernetesTimeouts = DEFAULT_TIMEOUTS.kubernetes,
        clock: Clock = time,
    ) -> None:
        super().__init__("being created")
        self.name = name
        self._api = api
        self._ledger = ledger
        self._options = options
        self._parts = objects.archive_parts(archive)
        self._archive = None if self._parts else archive
        self._timeouts = timeouts
        self._clock = clock
        self._request: JobRequest | None = None
        self._steps: list[Callable[[], None]] = []  # still to be done to create the job
        self._answered = False  # the cluster has answered at least one request
        self._created: list[cleanup.Key] = []  # what was, or may have been, created
        self._renew_at = 0.0

    def start(self, request: JobRequest) -> None:
        """Creates the Job and what belongs to it."""
        self._request = request
        self._ledger.add("command", self._guard_command())
        self._steps = [self._create_secret, *self._create_config_maps(), self._create_job]
        self.look(waiting=True)

    def look(self, *, waiting: bool) -> None:
        """Creates what is still missing, renews the config if it is due, and reads the job's status."""
        try:
            while self._steps:
                self._steps[0]()
                self._answered = True
                del self._steps[0]
            if waiting and self._clock.monotonic() >= self._renew_at:
                self._api.patch("secret", self.name, {"data": objects.config_data(self._config())})
            self._read_status(waiting=waiting)
        except (KubeError, Failure) as error:
            # A cluster that never answered may not exist; one that did answer is waited for.
            retry = isinstance(error, KubeError) and error.temporary and self._answered
            if self._steps and not retry:
                self.fail(str(error))
            else:
                self.report_problem(str(error))

    def close(self, *, clean: bool) -> list[str]:
        """Deletes the Job and what belongs to it.

        Returns:
            What could not be deleted, as lines that say what the user can do.
        """
        if self._request is None:
            return []
        if self.joined and not clean:
            self._await_end()
        times = self._timeouts
        timeout = times.close_timeout if self._answered else 0.0
        failed = cleanup.delete_all(self._api, self._created[::-1], timeout, times.retry_interval, self._clock)
        if failed and not self._answered:
            return []  # probably nothing was created; the guard goes on trying in case something was
        if failed:  # the guard goes on trying here too
            why = "; ".join(dict.fromkeys(map(str, failed.values())))
            what = ", ".join(f"{kind} {name}" for kind, name in failed)
            command = cleanup.kubectl_command(self._api.access, self.name)
            return [f"not removed: {what} ({why}); remove it by: {command}"]
        self._ledger.remove("command", self._guard_command())
        return []

    def _await_end(self) -> None:
        """Reads the status until the pod has ended: if the cluster ended it, its status says so a little later."""
        deadline = self._clock.monotonic() + self._timeouts.last_words_timeout
        try:
            self._read_status(waiting=False)
            while self.state.alive and self._clock.monotonic() < deadline:
                self._clock.sleep(self._timeouts.last_words_interval)
                self._read_status(waiting=False)
        except KubeError:
            pass  # deleting the job comes next, and reports a cluster that does not answer

    def _keys(self) -> list[cleanup.Key]:
        """All objects of this session."""
        parts = objects.part_names(self.name, len(self._parts))
        return [("job", self.name), ("secret", self.name), *(("configmap", part) for part in parts)]

    def _guard_command(self) -> str:
        return json.dumps(cleanup.guard_command(self._api.access, self._keys(), self._timeouts))

    def _create_secret(self) -> None:
        self._create("secret", objects.secret(self.name, self._config(), self._archive))

    def _create_config_maps(self) -> list[Callable[[], None]]:
        """One step for each ConfigMap."""
        bodies = objects.config_maps(self.name, self._parts)
        return [lambda body=body: self._create("configmap", body) for body in bodies]  # type: ignore[misc]

    def _create_job(self) -> None:
        self._create("job", objects.job(self.name, self._options, len(self._parts)))
        self._steps[1:] = [self._set_owner]

    def _set_owner(self) -> None:
        """Lets the Job own the other objects: the cluster deletes them with it, even if no mlogin or guard is left."""
        owned = objects.owned_by(self._api.get("job", self.name))
        for kind, name in self._keys()[1:]:
            self._api.patch(kind, name, owned)

    def _create(self, kind: str, body: Object) -> None:
        key = (kind, body["metadata"]["name"])
        if key not in self._created:
            self._created.append(key)
        try:
            self._api.create(kind, body)
        except KubeError as error:
            if error.status == CONFLICT:
                return  # created by an earlier request whose answer was lost: the name is random
            if not error.temporary:
                self._created.remove(key)
            raise

    def _config(self) -> dict[str, object]:
        """A fresh agent's config."""
        assert self._request is not None
        self._renew_at = self._clock.monotonic() + self._timeouts.renewal_interval
        return self._request.config(self._timeouts.url_lifetime)

    def _read_status(self, *, waiting: bool) -> None:
        job, pods = self._get_job(), self._api.pods(f"{objects.INSTANCE}={self.name}")
        found = status.job_status(job, pods, self._events(job, pods) if waiting else [])
        if found.alive:
            self.report(found.words, self._ends_at(found))
        else:
            self.over(found.words, [*found.remarks, *self._log(found)])

    def _get_job(self) -> Object | None:
        try:
            return self._api.get("job", self.name)
        except KubeError as error:
            if error.status != NOT_FOUND:
                raise
        return None

    def _events(self, job: Object | None, pods: list[Object]) -> list[Object]:
        """Events that may say what the job waits for; none if the user may not read events."""
        if job is None or any(pod.get("status", {}).get("phase") != "Pending" for pod in pods):
            return []
        try:
            return [event for one in (pods or [job]) for event in self._api.events(one["metadata"]["name"])]
        except KubeError as error:
            if error.temporary:
                raise
        return []

    def _log(self, found: status.Status) -> list[str]:
        """The last lines of a pod that has ended. A pod that never ran has no log."""
        if found.pod is None or found.started is None:
            return []
        try:
            return self._api.log(found.pod, objects.CONTAINER, LOG_LINES)
        except KubeError as error:
            return [] if error.status in (NOT_FOUND, BAD_REQUEST) else [str(error)]

    def _ends_at(self, found: status.Status) -> float | None:
        if found.started is None or found.limit is None:
            return None
        ran = self._api.now() - datetime.fromisoformat(found.started.replace("Z", "+00:00")).timestamp()
        return self._clock.monotonic() + found.limit - ran
