"""How a Job fares, in words, from what the API says of it, of its pods and of what happened to them. Pure."""

from __future__ import annotations

import signal
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from medusa.client.launchers.kubernetes.objects import CONTAINER
from medusa.client.outcome import SIGNALLED, signal_name
from medusa.protocol.printable import printable

Object = dict[str, Any]
"""As the API has it in JSON."""

HOPELESS = ("InvalidImageName", "ErrImageNeverPull")
"""Reasons for a container to wait that no time will mend."""

NO_ADMISSION = "violates PodSecurity"
"""In the words of a namespace that takes no such pod, now or later."""

NO_COMMAND = 127
"""Exit status of a shell that has not found its command, and of an agent that has not found a Python."""

_LONGEST = 300
_STATELESS: Object = {}


@dataclass(frozen=True)
class Reading:
    """Attributes:
    alive: an agent may still appear.
    words: printable.
    remarks: what the user should know of a job that is over; printable lines.
    pod: the name of the one whose log tells more; None where there is none.
    started: when its node took it on, as the API writes times; None before that.
    limit: seconds that it may run from then on; None for as long as it likes.
    """

    alive: bool
    words: str
    remarks: tuple[str, ...] = ()
    pod: str | None = None
    started: str | None = None
    limit: int | None = None


def read(job: Object | None, pods: list[Object], events: list[Object]) -> Reading:
    """Args:
    job: None if it is not there any more.
    pods: of the job; it has at most one that matters, the latest.
    events: of the namespace, about the job or its pods; may be empty.
    """
    pod = max(pods, key=lambda pod: _text(pod, "metadata", "creationTimestamp"), default=None)
    if pod is not None:
        return _of_pod(pod, [event for event in events if _about(event, pod)])
    if job is None or _text(job, "metadata", "deletionTimestamp"):
        return Reading(alive=False, words="was deleted")
    failed = _condition(job, "Failed")
    if failed is not None:
        # With no retries, a pod that was deleted is a job that has failed.
        remark = _because(failed)
        return Reading(alive=False, words="failed, its pod is gone", remarks=(remark,) if remark else ())
    return _of_podless(job, [event for event in events if _about(event, job)])


def read_beside(pod: Object, name: str) -> Reading:
    """How a container fares that stands beside those of a pod."""
    status = pod.get("status", _STATELESS)
    found = [one for one in status.get("ephemeralContainerStatuses", ()) if one.get("name") == name]
    state = found[0].get("state", _STATELESS) if found else _STATELESS
    if state.get("terminated"):
        words, remarks = _exit({**found[0], "name": CONTAINER}, state["terminated"])
        return Reading(alive=False, words=words, remarks=remarks, started=state["terminated"].get("startedAt"))
    if _text(pod, "metadata", "deletionTimestamp"):
        return Reading(alive=False, words="ends with its pod" + _disruption(status))
    if status.get("phase") != "Running":
        return Reading(alive=False, words=f"ended with its pod: {_because(status) or status.get('phase')}")
    if state.get("running"):
        return Reading(alive=True, words="running", started=state["running"].get("startedAt"))
    waiting = state.get("waiting", _STATELESS)
    return Reading(alive=waiting.get("reason") not in HOPELESS, words=_because(waiting) or "waits for its node")


def _of_podless(job: Object, events: list[Object]) -> Reading:
    event = _latest(events, "FailedCreate")
    if event is not None:
        message = _said(event)
        return Reading(alive=NO_ADMISSION not in message, words=f"no pod: {message}")
    if job.get("spec", {}).get("suspend"):
        return Reading(alive=True, words="suspended, by what queues jobs in this cluster")
    return Reading(alive=True, words="has no pod yet")


def _of_pod(pod: Object, events: list[Object]) -> Reading:
    status = pod.get("status", _STATELESS)
    phase = status.get("phase", "Pending")
    alive, words = True, ""
    remarks: tuple[str, ...] = ()
    if _text(pod, "metadata", "deletionTimestamp") and not status.get("reason"):
        alive, words = False, "is being deleted" + _disruption(status)
    elif phase in ("Succeeded", "Failed"):
        alive = False
        words, remarks = _end(status)
    elif phase == "Running":
        words = f"running on {printable(pod.get('spec', {}).get('nodeName', 'a node'))}"
    elif phase == "Pending":
        alive, words = _waits(pod, status, events)
    else:
        words = f"{printable(phase)}: its node does not answer"
    limit = pod.get("spec", {}).get("activeDeadlineSeconds")
    return Reading(alive, words, remarks, pod["metadata"]["name"], status.get("startTime"), limit)


def _waits(pod: Object, status: Object, events: list[Object]) -> tuple[bool, str]:
    """Whether there is hope, and what it waits for."""
    scheduled = _condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("status") == "False":
        return True, f"Pending: {_because(scheduled)}"
    for container in _containers(status):
        waiting = container.get("state", _STATELESS).get("waiting")
        if waiting is not None and waiting.get("reason") not in ("PodInitializing", None):
            reason = waiting["reason"]
            words = _because(waiting)
            if reason == "ContainerCreating":
                words += _happening(events)
            return reason not in HOPELESS, words
    return True, "Pending" + _happening(events)


def _happening(events: list[Object]) -> str:
    """What was last heard of a container that is being made, if it is trouble, or a step that takes time."""
    event = _latest(events)
    return f": {printable(str(event.get('reason')))}: {_said(event)}" if event and _telling(event) else ""


def _telling(event: Object) -> bool:
    return event.get("type") == "Warning" or event.get("reason") == "Pulling"


def _end(status: Object) -> tuple[str, tuple[str, ...]]:
    """How it ended, and what the user should know."""
    reason = status.get("reason")
    if reason:  # the node's or the cluster's doing: Evicted, DeadlineExceeded, NodeShutdown
        return f"ended: {_because(status)}", ()
    for container in _containers(status):
        ended = container.get("state", _STATELESS).get("terminated")
        if ended is not None and (ended.get("exitCode") != 0 or container.get("name") == CONTAINER):
            return _exit(container, ended)
    return "ended" + _disruption(status), ()


def _exit(container: Object, ended: Object) -> tuple[str, tuple[str, ...]]:
    code = ended.get("exitCode", 0)
    words = f"ended with status {code}"
    if ended.get("reason") not in ("Completed", "Error", None):
        words = f"ended: {_because(ended)} (status {code})"
    elif code > SIGNALLED and code - SIGNALLED in set(signal.Signals):
        words += f" ({signal_name(code - SIGNALLED)})"
    if container.get("name") != CONTAINER:
        return f"{words} in {printable(str(container.get('name')))}", ()
    if code == NO_COMMAND:
        return words, (
            "the image has no Python 3.8 or later, or no sh: take another --image,",
            "or the archive that brings its own Python: --archive agent-standalone.sh",
        )
    return words, ()


def _containers(status: Object) -> Iterable[Object]:
    """In the order in which they start."""
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _disruption(status: Object) -> str:
    """Who ends it, where the cluster says that."""
    found = _condition({"status": status}, "DisruptionTarget")
    return f": {_because(found)}" if found is not None and found.get("status") == "True" else ""


def _condition(thing: Object, kind: str) -> Object | None:
    conditions = thing.get("status", _STATELESS).get("conditions") or []
    return next((found for found in conditions if found.get("type") == kind and found.get("status") != "Unknown"), None)


def _because(thing: Object) -> str:
    """`Reason: message` of a condition or a state."""
    reason, message = thing.get("reason"), thing.get("message")
    return ": ".join(filter(None, (reason and printable(str(reason)), message and _said(thing))))


def _said(thing: Object) -> str:
    """A message on one line; what a scheduler says of who could be driven away is left out."""
    text = " ".join(str(thing.get("message", "")).split())
    return printable(text.partition(" preemption: ")[0], _LONGEST)


def _about(event: Object, thing: Object) -> bool:
    return bool(event.get("involvedObject", _STATELESS).get("uid") == thing["metadata"].get("uid"))


def _latest(events: list[Object], reason: str | None = None) -> Object | None:
    found = [event for event in events if reason in (None, event.get("reason"))]
    # Of those within one second the telling one, as their order is not known.
    return max(found, key=lambda event: (_when(event), _telling(event)), default=None)


def _when(event: Object) -> str:
    """Times of one form, and so in the order of their texts. A series has its last, a single event perhaps only one."""
    series = event.get("series") or _STATELESS
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next((str(time) for time in times if time), _text(event, "metadata", "creationTimestamp"))


def _text(thing: Object, *names: str) -> str:
    found: Any = thing
    for name in names:
        found = found.get(name) or _STATELESS
    return found if isinstance(found, str) else ""
