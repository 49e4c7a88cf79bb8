"""One session's Job in a cluster, step by step. Each step may block."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol

from medusa.client.launchers.base import JobRequest, JobState
from medusa.client.launchers.kubernetes import cleanup, objects, status
from medusa.client.launchers.kubernetes.api import Access
from medusa.client.launchers.kubernetes.errors import CONFLICT, NOT_FOUND, KubeError
from medusa.client.launchers.kubernetes.options import Wanted
from medusa.client.launchers.polled import Job
from medusa.client.ledger import Ledger
from medusa.client.outcome import Failure

URL_LIFETIME = 900.0
"""Seconds that the agent's URL is good for: its node reads it before it pulls the image, which can take minutes."""

RENEWAL = 300.0
"""Seconds between two configs of a waiting job."""

LOG_LINES = 10
"""The last ones of a pod that failed, which are told."""

LAST_WORDS = 3.0
"""Seconds that a pod may take to say how it ended, when its session was cut off: a node tells of it a second later."""

PAUSE = 0.3
"""Seconds between two looks then."""

CLOSE_PATIENCE = 15.0
"""Seconds that a cluster which does not answer is asked to delete for."""

Object = dict[str, Any]


class Api(cleanup.Deleter, Protocol):
    """What is used of medusa.client.launchers.kubernetes.api.Kube."""

    access: Access

    def now(self) -> float: ...

    def create(self, kind: str, body: Object) -> Object: ...

    def get(self, kind: str, name: str) -> Object: ...

    def patch(self, kind: str, name: str, body: Object) -> None: ...

    def pods(self, selector: str) -> list[Object]: ...

    def events(self, name: str) -> list[Object]: ...

    def log(self, pod: str, container: str, lines: int) -> list[str]: ...


class KubeJob(Job):
    """start, then look again and again; close in any case. For one thread at a time.

    Attributes:
        name: of the Job and the Secret; the ConfigMaps' begin with it. Nobody can know it before.

    Args:
        ledger: gets the command that removes it all if this process is killed.
        clock: seconds, monotonic.
        nap: waits for so many seconds.
    """

    def __init__(
        self,
        api: Api,
        ledger: Ledger,
        wanted: Wanted,
        archive: bytes,
        name: str,
        clock: Callable[[], float] = time.monotonic,
        nap: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__("being created")
        self.name = name
        self._api = api
        self._ledger = ledger
        self._wanted = wanted
        self._pieces = objects.parts(archive)
        self._archive = None if self._pieces else archive
        self._clock, self._nap = clock, nap
        self._request: JobRequest | None = None
        self._steps: list[Callable[[], None]] = []
        self._answered = False
        self._made: list[cleanup.Thing] = []
        self._renew_at = 0.0
        self._words = "being created"

    def start(self, request: JobRequest) -> None:
        """Creates it; what goes wrong is in `state`."""
        self._request = request
        self._ledger.add("command", self._undo())
        self._steps = [self._create_secret, *self._create_config_maps(), self._create_job]
        self.look(waiting=True)

    def look(self, *, waiting: bool) -> None:
        """Does what is still to be done, and asks how the job fares."""
        try:
            while self._steps:
                self._steps[0]()
                self._answered = True
                del self._steps[0]
            if waiting and self._clock() >= self._renew_at:
                self._renew()
            self._read(waiting=waiting)
        except (KubeError, Failure) as error:
            # A cluster that was never heard may be one that is not there; one that was is waited for.
            hopeless = not (isinstance(error, KubeError) and error.passing and self._answered)
            if self._steps and hopeless:
                self.fail(str(error))
            else:
                self.state = JobState(True, f"{self._words}; {error}", self.state.ends_at)

    def close(self, *, clean: bool) -> list[str]:
        """Deletes it, and what belongs to it.

        Returns:
            What could not be done, as lines that tell the user what to do.
        """
        if self._request is None:
            return []
        if self.joined and not clean:
            self._hear_last_words()
        left = cleanup.remove(self._api, self._made[::-1], CLOSE_PATIENCE if self._answered else 0.0)
        if left and not self._answered:
            return []  # most likely nothing arrived there; should it have, the guard goes on trying
        if left:  # here too
            why = "; ".join(dict.fromkeys(map(str, left.values())))
            what = ", ".join(f"{kind} {name}" for kind, name in left)
            return [f"not removed: {what} ({why}); remove it by: {cleanup.kubectl(self._api.access, self.name)}"]
        self._ledger.remove("command", self._undo())
        return []

    def _hear_last_words(self) -> None:
        """Whoever cut the session off may have ended the pod, which says so now or soon."""
        deadline = self._clock() + LAST_WORDS
        try:
            self._read(waiting=False)
            while self.state.alive and self._clock() < deadline:
                self._nap(PAUSE)
                self._read(waiting=False)
        except KubeError:
            pass  # it is about to be deleted, and whoever is away then is told of

    def _things(self) -> list[cleanup.Thing]:
        parts = objects.part_names(self.name, len(self._pieces))
        return [("job", self.name), ("secret", self.name), *(("configmap", part) for part in parts)]

    def _undo(self) -> str:
        return json.dumps(cleanup.command(self._api.access, self._things()))

    def _create_secret(self) -> None:
        self._create("secret", objects.secret(self.name, self._config(), self._archive))

    def _create_config_maps(self) -> list[Callable[[], None]]:
        made = objects.config_maps(self.name, self._pieces)
        return [lambda body=body: self._create("configmap", body) for body in made]  # type: ignore[misc]

    def _create_job(self) -> None:
        self._create("job", objects.job(self.name, self._wanted, len(self._pieces)))
        self._steps[1:] = [self._give_to_the_job]

    def _give_to_the_job(self) -> None:
        """What belongs to the Job goes with it, also where nobody is left to delete it."""
        owned = objects.owned_by(self._api.get("job", self.name))
        for kind, name in self._things()[1:]:
            self._api.patch(kind, name, owned)

    def _create(self, kind: str, body: Object) -> None:
        thing = (kind, body["metadata"]["name"])
        if thing not in self._made:
            self._made.append(thing)
        try:
            self._api.create(kind, body)
        except KubeError as error:
            if error.status == CONFLICT:
                return  # ours: made by a request whose answer was lost
            if not error.passing:
                self._made.remove(thing)
            raise

    def _config(self) -> dict[str, object]:
        assert self._request is not None
        self._renew_at = self._clock() + RENEWAL
        return self._request.config(URL_LIFETIME)

    def _renew(self) -> None:
        self._api.patch("secret", self.name, {"data": objects.config_data(self._config())})

    def _read(self, *, waiting: bool) -> None:
        job, pods = self._job(), self._api.pods(f"{objects.INSTANCE}={self.name}")
        reading = status.read(job, pods, self._events(job, pods) if waiting else [])
        self._words = reading.words
        if reading.alive:
            self.state = JobState(alive=True, words=reading.words, ends_at=self._ends_at(reading))
        else:
            self.over(reading.words, [*reading.remarks, *self._log(reading)])

    def _job(self) -> Object | None:
        try:
            return self._api.get("job", self.name)
        except KubeError as error:
            if error.status != NOT_FOUND:
                raise
        return None

    def _events(self, job: Object | None, pods: list[Object]) -> list[Object]:
        """About what the job waits for. Who may not read them is told less."""
        if job is None or any(pod.get("status", {}).get("phase") != "Pending" for pod in pods):
            return []
        try:
            return [event for one in (pods or [job]) for event in self._api.events(one["metadata"]["name"])]
        except KubeError as error:
            if error.passing:
                raise
        return []

    def _log(self, reading: status.Reading) -> list[str]:
        """The last lines of a pod that is over. A pod that never ran has none, and some may not read any."""
        if reading.pod is None or reading.started is None:
            return []
        try:
            return self._api.log(reading.pod, objects.CONTAINER, LOG_LINES)
        except KubeError as error:
            return [] if error.status in (NOT_FOUND, 400) else [str(error)]

    def _ends_at(self, reading: status.Reading) -> float | None:
        if reading.started is None or reading.limit is None:
            return None
        ran = self._api.now() - datetime.fromisoformat(reading.started.replace("Z", "+00:00")).timestamp()
        return self._clock() + reading.limit - ran
