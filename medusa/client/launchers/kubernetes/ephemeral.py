"""Runs the agent in an ephemeral container of a pod that already runs. (`kubectl debug` makes such containers too.)

An ephemeral container stays in the spec of its pod until the pod is deleted. So the spec must contain no secrets: the
container reads the agent and its URL from standard input. The container cannot be deleted. It ends after its session.
If mlogin delivers no agent, it ends after START_TIMEOUT seconds.
"""

from __future__ import annotations

import base64
import enum
import json
from typing import Any, Protocol

from medusa.client.launchers.base import JobRequest
from medusa.client.launchers.kubernetes import status
from medusa.client.launchers.kubernetes.cluster.errors import NOT_FOUND, KubeError
from medusa.client.launchers.kubernetes.options import PodOptions
from medusa.client.launchers.polled import Job
from medusa.client.outcome import Failure
from medusa.protocol.printable import printable
from medusa.protocol.record import replace

LOG_LINES = 10
"""The number of last lines that are shown of a container's log."""

START_TIMEOUT = 600
"""Seconds that a container waits for its agent. This ends a container whose mlogin was killed before the delivery."""

DELIVERED = "medusa: delivered"
"""The line that the container prints after it has read its whole script."""

# The first process of a container cannot be killed from inside the container. So the shell that becomes the agent is
# its child, which can be killed after START_TIMEOUT. The first process passes its signals on to this child.
_WAIT_FOR_SCRIPT = f"""exec 3<&0
sh -c '(sleep {START_TIMEOUT}; kill -9 $$) >/dev/null 2>&1 3<&- & export MEDUSA_WATCH=$!; exec sh -s' <&3 3<&- &
agent=$!
exec 3<&- </dev/null
for signal in HUP INT TERM; do trap "kill -$signal $agent" "$signal"; done
while wait "$agent"; status=$?; kill -0 "$agent" 2>/dev/null; do :; done
exit "$status"
"""

Object = dict[str, Any]


class Api(Protocol):
    """The methods of medusa.client.launchers.kubernetes.cluster.api.KubeClient that EphemeralJob calls."""

    def get(self, kind: str, name: str) -> Object: ...

    def add_container(self, pod: str, container: Object) -> None: ...

    def write_stdin(self, pod: str, container: str, data: bytes, until: str) -> None: ...

    def log(self, pod: str, container: str, lines: int) -> list[str]: ...


def agent_script(config: dict[str, object], archive: bytes, delimiter: str) -> bytes:
    """Returns a shell script that unpacks the agent and runs it. The container reads the script from standard input.

    Args:
        config: the content of the agent's config file.
        archive: the agent's archive.
        delimiter: the word that ends the here-documents in the script. The archive must not contain it.
    """
    decoder = b"base64 -d" if b"\0" in archive else b"cat"
    text = base64.encodebytes(archive) if b"\0" in archive else archive
    newline = b"\n" if not text.endswith(b"\n") else b""
    mark = delimiter.encode()
    return b"".join(
        [
            b'kill "$MEDUSA_WATCH"; unset MEDUSA_WATCH; umask 077\n',
            b'd=${TMPDIR:-/tmp}/%s; mkdir "$d" || exit\n' % mark,
            b"%s >\"$d/agent.sh\" <<'%s'\n%s%s%s\n" % (decoder, mark, text, newline, mark),
            b"cat >\"$d/config.json\" <<'%s'\n%s\n%s\n" % (mark, json.dumps(config).encode(), mark),
            b"echo '%s'\n" % DELIVERED.encode(),
            b'exec sh "$d/agent.sh" --config "$d/config.json" </dev/null\n',
        ]
    )


class Phase(enum.Enum):
    """The phases of an ephemeral container: NEW -> ADDED (to its pod) -> DELIVERED (mlogin has sent it the agent)."""

    NEW = enum.auto()
    ADDED = enum.auto()
    """The container is in the pod's spec, and waits for its agent."""
    DELIVERED = enum.auto()
    """The container has received its agent, and ends after its session."""


class EphemeralJob(Job):
    """An ephemeral container that runs the agent. Only one thread at a time may use it.

    Attributes:
        name: the name of the container.
        pod: the name of the pod to which the container is added.

    Args:
        target: the name of the pod's container whose processes the new container can see; None for the first one.
    """

    def __init__(self, api: Api, options: PodOptions, pod: str, target: str | None, archive: bytes, name: str) -> None:
        super().__init__("being created")
        self.name, self.pod = name, pod
        self._api = api
        self._options, self._target, self._archive = options, target, archive
        self._request: JobRequest | None = None
        self._phase = Phase.NEW

    def start(self, request: JobRequest) -> None:
        """Adds the container to its pod."""
        self._request = request
        try:
            self._add()
        except (KubeError, Failure) as error:
            self.fail(str(error))
        else:
            self.look(waiting=True)

    def look(self, *, waiting: bool) -> None:
        """Reads the container's status, and sets `state`.

        If the container runs and `waiting` (for the agent) is True, delivers the agent, but only once.
        """
        try:
            found = status.ephemeral_status(self._get_pod(), self.name)
            if found.alive and found.started and waiting and self._phase is Phase.ADDED:
                self._deliver()
            if found.alive:
                self.report(found.words)
            else:
                self.over(found.words, [*found.remarks, *self._log(found)])
        except (KubeError, Failure) as error:
            self.report_problem(str(error))

    def keep(self) -> bool:
        return True

    def close(self, *, clean: bool) -> list[str]:
        """Deletes nothing, because an ephemeral container cannot be deleted. It ends by itself after the session.

        Returns:
            Lines for the user. If the container still waits for its agent, one line says when the container will end.
            Otherwise there are no lines.
        """
        if self._phase is Phase.ADDED and self.state.alive:
            minutes = START_TIMEOUT // 60
            return [f"container {self.name} of pod {printable(self.pod)} ends by itself, in {minutes} minutes"]
        return []

    def _add(self) -> None:
        pod = self._get_pod()
        phase = pod.get("status", {}).get("phase")
        if phase != "Running":
            raise Failure(f"pod {printable(self.pod)} does not run: {printable(str(phase))}")
        names = [container["name"] for container in pod["spec"]["containers"]]
        target = self._target or names[0]
        if target not in names:
            raise Failure(f"pod {printable(self.pod)} has no container {printable(target)}, but {', '.join(names)}")
        container: Object = {
            "name": self.name,
            "image": self._options.image,
            "command": ["sh", "-c", _WAIT_FOR_SCRIPT],
            "stdin": True,
            "stdinOnce": True,
            "targetContainerName": target,
        }
        if self._options.environ:
            container["env"] = [{"name": name, "value": value} for name, value in self._options.environ.items()]
        self._api.add_container(self.pod, container)
        self._phase = Phase.ADDED

    def _get_pod(self) -> Object:
        """Returns the pod.

        If the pod was deleted after the container was added, returns an object that is marked as being deleted.
        """
        try:
            return self._api.get("pod", self.pod)
        except KubeError as error:
            if error.status == NOT_FOUND and self._phase is not Phase.NEW:
                return {"metadata": {"deletionTimestamp": "now"}}
            raise

    def _deliver(self) -> None:
        assert self._request is not None
        config = replace(self._request, guest=True).config()
        script = agent_script(config, self._archive, self.name)
        self._api.write_stdin(self.pod, self.name, script, DELIVERED)
        self._phase = Phase.DELIVERED

    def _log(self, found: status.Status) -> list[str]:
        if not found.started:
            return []
        try:
            return [line for line in self._api.log(self.pod, self.name, LOG_LINES) if line != DELIVERED]
        except KubeError as error:
            return [str(error)]
