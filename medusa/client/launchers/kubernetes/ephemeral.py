"""A container beside those of a pod that runs already, as `kubectl debug` makes them.

Such a container stands in its pod's spec for as long as that lives, so nothing secret may be in it: the agent and its
URL go in by the container's standard input. It cannot be deleted either: it ends with its session, or after a while
without one.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any, Protocol

from medusa.client.launchers.base import JobRequest, JobState
from medusa.client.launchers.kubernetes import status
from medusa.client.launchers.kubernetes.errors import NOT_FOUND, KubeError
from medusa.client.launchers.kubernetes.options import Wanted
from medusa.client.launchers.polled import Job
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable

LOG_LINES = 10
"""The last ones of a container that failed, which are told."""

TIMEOUT = 600
"""Seconds that a container waits for its agent; nobody else ends it if mlogin is killed before."""

DELIVERED = "medusa: delivered"
"""What the container says when it has all of its script."""

# The first process of a container cannot be killed from within: the agent's shell is its child, and gets its signals.
_WAITING = f"""exec 3<&0
sh -c '(sleep {TIMEOUT}; kill -9 $$) >/dev/null 2>&1 3<&- & export MEDUSA_WATCH=$!; exec sh -s' <&3 3<&- & agent=$!
exec 3<&- </dev/null
for signal in HUP INT TERM; do trap "kill -$signal $agent" "$signal"; done
while wait "$agent"; status=$?; kill -0 "$agent" 2>/dev/null; do :; done
exit "$status"
"""

Object = dict[str, Any]


class Api(Protocol):
    """What is used of medusa.client.launchers.kubernetes.api.Kube."""

    def get(self, kind: str, name: str) -> Object: ...

    def add_container(self, pod: str, container: Object) -> None: ...

    def feed(self, pod: str, container: str, data: bytes, until: str) -> None: ...

    def log(self, pod: str, container: str, lines: int) -> list[str]: ...


def script(config: dict[str, object], archive: bytes, mark: str) -> bytes:
    """For the container's shell. `mark`: a word that is not in the archive."""
    decoded = b"base64 -d" if b"\0" in archive else b"cat"
    text = base64.encodebytes(archive) if b"\0" in archive else archive
    end = b"\n" if not text.endswith(b"\n") else b""
    return b"".join(
        [
            b'kill "$MEDUSA_WATCH"; unset MEDUSA_WATCH; umask 077\n',
            b'd=${TMPDIR:-/tmp}/%s; mkdir "$d" || exit\n' % mark.encode(),
            b"%s >\"$d/agent.sh\" <<'%s'\n%s%s%s\n" % (decoded, mark.encode(), text, end, mark.encode()),
            b"cat >\"$d/config.json\" <<'%s'\n%s\n%s\n" % (mark.encode(), json.dumps(config).encode(), mark.encode()),
            b"echo '%s'\n" % DELIVERED.encode(),
            b'exec sh "$d/agent.sh" --config "$d/config.json" </dev/null\n',
        ]
    )


class BesideJob(Job):
    """start, then look again and again; close in any case. For one thread at a time.

    Attributes:
        name: of the container.
        pod: that it stands in.

    Args:
        target: the container whose processes it is to see; None for the pod's first one.
    """

    def __init__(
        self,
        api: Api,
        wanted: Wanted,
        pod: str,
        target: str | None,
        archive: bytes,
        name: str,
        nap: Callable[[float], object] = time.sleep,
    ) -> None:
        super().__init__("being created")
        self.name, self.pod = name, pod
        self._api, self._nap = api, nap
        self._wanted, self._target, self._archive = wanted, target, archive
        self._request: JobRequest | None = None
        self._added = self._delivered = False

    def start(self, request: JobRequest) -> None:
        """Adds it; what goes wrong is in `state`."""
        self._request = request
        try:
            self._add()
        except (KubeError, Failure) as error:
            self.fail(str(error))
        else:
            self.look(waiting=True)

    def look(self, *, waiting: bool) -> None:
        """Asks how it fares, and gives it its agent when it runs."""
        try:
            reading = status.read_beside(self._get(), self.name)
            if reading.alive and reading.started and waiting and not self._delivered:
                self._deliver()
            if reading.alive:
                self.state = JobState(alive=True, words=reading.words)
            else:
                self.over(reading.words, [*reading.remarks, *self._log(reading)])
        except (KubeError, Failure) as error:
            self.state = JobState(True, f"{self.state.words.partition(';')[0]}; {error}")

    def close(self, *, clean: bool) -> list[str]:
        """It ends with its session. Without one nobody can end it at once."""
        if self._added and not self._delivered and self.state.alive:
            return [f"container {self.name} of pod {printable(self.pod)} ends by itself, in {TIMEOUT // 60} minutes"]
        return []

    def _add(self) -> None:
        pod = self._get()
        if pod.get("status", {}).get("phase") != "Running":
            raise Failure(
                f"pod {printable(self.pod)} does not run: {printable(str(pod.get('status', {}).get('phase')))}"
            )
        names = [container["name"] for container in pod["spec"]["containers"]]
        target = self._target or names[0]
        if target not in names:
            raise Failure(f"pod {printable(self.pod)} has no container {printable(target)}, but {', '.join(names)}")
        container: Object = {
            "name": self.name,
            "image": self._wanted.image,
            "command": ["sh", "-c", _WAITING],
            "stdin": True,
            "stdinOnce": True,
            "targetContainerName": target,
        }
        if self._wanted.environ:
            container["env"] = [{"name": name, "value": value} for name, value in self._wanted.environ.items()]
        self._api.add_container(self.pod, container)
        self._added = True

    def _get(self) -> Object:
        try:
            return self._api.get("pod", self.pod)
        except KubeError as error:
            if error.status == NOT_FOUND and self._added:
                return {"metadata": {"deletionTimestamp": "now"}}
            raise

    def _deliver(self) -> None:
        assert self._request is not None
        self._api.feed(self.pod, self.name, script(self._request.config(), self._archive, self.name), DELIVERED)
        self._delivered = True

    def _log(self, reading: status.Reading) -> list[str]:
        if not reading.started:
            return []
        try:
            return [line for line in self._api.log(self.pod, self.name, LOG_LINES) if line != DELIVERED]
        except KubeError as error:
            return [str(error)]
