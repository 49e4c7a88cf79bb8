"""Runs the agent in a new Job of Kubernetes. Also creates the Secret and the ConfigMaps that the Job needs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from medusa.client.launchers.base import JobRequest
from medusa.client.launchers.kubernetes import cleanup, objects, status
from medusa.client.launchers.kubernetes.cluster.access import Access
from medusa.client.launchers.kubernetes.cluster.errors import BAD_REQUEST, CONFLICT, NOT_FOUND, KubeError
from medusa.client.launchers.kubernetes.options import PodOptions
from medusa.client.launchers.polled import Clock, Job
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure
from medusa.client.timeouts import DEFAULT_TIMEOUTS, KubernetesTimeouts

LOG_LINES = 10
"""The number of last lines that are shown of a pod's log."""

Object = dict[str, Any]


class Api(cleanup.Deleter, Protocol):
    """The methods of medusa.client.launchers.kubernetes.cluster.api.KubeClient that KubeJob calls."""

    access: Access

    def now(self) -> float: ...

    def create(self, kind: str, body: Object) -> Object: ...

    def get(self, kind: str, name: str) -> Object: ...

    def patch(self, kind: str, name: str, body: Object) -> None: ...

    def pods(self, selector: str) -> list[Object]: ...

    def events(self, name: str) -> list[Object]: ...

    def log(self, pod: str, container: str, lines: int) -> list[str]: ...


class KubeJob(Job):
    """The Kubernetes Job of one session. Only one thread at a time may use it. Each method may block.

    Several requests are needed to create the Job and its other objects. If the cluster does not answer one of them, the
    next call of `look` sends this request again, and then the others.

    Attributes:
        name: the random name of the Job and of the Secret. The names of the ConfigMaps start with it.

    Args:
        ledger: gets the command by which the guard process deletes all objects if this process is killed.
        clock: the module `time`, or the clock of a test.
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
        self._steps: list[Callable[[], None]] = []  # the steps that are left until all objects exist
        self._answered = False  # True if a step has succeeded, so the cluster exists
        self._created: list[cleanup.Key] = []  # the objects that were created, or may have been
        self._renew_at = 0.0

    def start(self, request: JobRequest) -> None:
        """Creates the Secret, the ConfigMaps and the Job."""
        self._request = request
        self._ledger.add("command", self._guard_command())
        self._steps = [self._create_secret, *self._create_config_maps(), self._create_job]
        self.look(waiting=True)

    def look(self, *, waiting: bool) -> None:
        """Creates the objects that do not exist yet, reads the status of the Job, and sets `state`.

        `waiting`: True until the agent attaches. While it is True, also renews the agent's config before it expires.
        """
        try:
            while self._steps:
                self._steps[0]()
                self._answered = True
                del self._steps[0]
            if waiting and self._clock.monotonic() >= self._renew_at:
                self._api.patch("secret", self.name, {"data": objects.config_data(self._config())})
            self._read_status(waiting=waiting)
        except (KubeError, Failure) as error:
            # Before the first answer the cluster may not exist, so do not retry. After it, wait for the next answer.
            retry = isinstance(error, KubeError) and error.temporary and self._answered
            if self._steps and not retry:
                self.fail(str(error))
            else:
                self.report_problem(str(error))

    def keep(self) -> bool:
        """Lets the Job go on if mlogin dies. Returns True.

        The cluster itself deletes the Job and its other objects some time after the Job's end.
        """
        self._ledger.remove("command", self._guard_command())
        return True

    def close(self, *, clean: bool) -> list[str]:
        """Deletes the Job, the ConfigMaps and the Secret.

        `clean`: True if the agent has reported the session's end. If it is False and the agent had attached, first
        waits a few seconds to learn how the pod ends.

        Returns:
            Lines for the user: what could not be deleted, and how the user can delete it.
        """
        if self._request is None:
            return []
        if self.joined and not clean:
            self._await_end()
        times = self._timeouts
        timeout = times.close_timeout if self._answered else 0.0
        failed = cleanup.delete_all(self._api, self._created[::-1], timeout, times.retry_interval, self._clock)
        if failed and not self._answered:
            return []  # probably nothing was created; in case it was, the guard tries to delete it
        if failed:  # the guard tries again
            why = "; ".join(dict.fromkeys(map(str, failed.values())))
            what = ", ".join(f"{kind} {name}" for kind, name in failed)
            command = cleanup.kubectl_command(self._api.access, self.name)
            return [f"not removed: {what} ({why}); remove it by: {command}"]
        self._ledger.remove("command", self._guard_command())
        return []

    def _await_end(self) -> None:
        """Reads the Job's status again and again until the pod has ended.

        Gives up after `last_words_timeout` or `grace` seconds, whichever is less. Call this after a session was cut
        off: if the cluster has ended the pod, the reason appears a little later.
        """
        deadline = self._clock.monotonic() + min(self._timeouts.last_words_timeout, self.grace)
        try:
            self._read_status(waiting=False)
            while self.state.alive and self._clock.monotonic() < deadline:
                self._clock.sleep(self._timeouts.last_words_interval)
                self._read_status(waiting=False)
        except KubeError:
            pass  # `close` deletes the job next, and reports it if the cluster does not answer

    def _keys(self) -> list[cleanup.Key]:
        """Returns the kinds and names of all objects of this session."""
        parts = objects.part_names(self.name, len(self._parts))
        return [("job", self.name), ("secret", self.name), *(("configmap", part) for part in parts)]

    def _guard_command(self) -> str:
        return json.dumps(cleanup.guard_command(self._api.access, self._keys(), self._timeouts))

    def _create_secret(self) -> None:
        self._create("secret", objects.secret(self.name, self._config(), self._archive))

    def _create_config_maps(self) -> list[Callable[[], None]]:
        """Returns a list of functions. Each of them creates one ConfigMap when it is called."""
        bodies = objects.config_maps(self.name, self._parts)
        return [lambda body=body: self._create("configmap", body) for body in bodies]  # type: ignore[misc]

    def _create_job(self) -> None:
        self._create("job", objects.job(self.name, self._options, len(self._parts)))
        self._steps[1:] = [self._set_owner]

    def _set_owner(self) -> None:
        """Makes the Job the owner of the Secret and the ConfigMaps.

        Then the cluster deletes them together with the Job, even if mlogin and its guard process were killed.
        """
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
                return  # the name is random, so an earlier request created it and its answer was lost
            if not error.temporary:
                self._created.remove(key)
            raise

    def _config(self) -> dict[str, object]:
        """Returns a new config for the agent, with a new URL."""
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
        """Returns events that may explain why the Job waits.

        Returns no events if the Job's pod no longer waits, or if the user may not read events.
        """
        if job is None or any(pod.get("status", {}).get("phase") != "Pending" for pod in pods):
            return []
        try:
            return [event for one in (pods or [job]) for event in self._api.events(one["metadata"]["name"])]
        except KubeError as error:
            if error.temporary:
                raise
        return []

    def _log(self, found: status.Status) -> list[str]:
        """Returns the last lines of the log of a pod that has ended. Returns no lines if the pod has never run.

        `found`: the status of the Job, which names the pod.
        """
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
