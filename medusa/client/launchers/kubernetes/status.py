"""Puts the status of a Job or an ephemeral container into words. No I/O: the caller passes the objects and events.

The Kubernetes API reference explains the fields and reasons: see Job, Pod, ContainerStatus and Event there.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable
from typing import Any

from medusa.client.launchers.kubernetes.objects import CONTAINER
from medusa.client.outcome import SIGNALLED
from medusa.protocol.printable import printable
from medusa.protocol.record import record
from medusa.signal_pipe import signal_name

Object = dict[str, Any]
"""An object of Kubernetes as the API represents it in JSON."""

FATAL_REASONS = ("InvalidImageName", "ErrImageNeverPull")
"""Reasons of a waiting container which mean that it will never start."""

POD_SECURITY_VIOLATION = "violates PodSecurity"
"""If the message of an event contains this text, the namespace will never admit the pod.

The message has to be searched because no other field of the event tells this.
"""

COMMAND_NOT_FOUND = 127
"""The exit status of a shell that cannot find its command, and of the agent's archive if it finds no Python."""

_MAX_MESSAGE = 300
_NOTHING: Object = {}


@record
class Status:
    """The status of a Job or an ephemeral container.

    Attributes:
        alive: True if the agent runs, or may still start to run.
        words: the status in words for the user, printable.
        remarks: printable lines for the user about a job that has ended: its probable cause and a remedy.
        pod: the name of the pod that has the log; None if there is no pod.
        started: the time at which the node accepted the pod, or started the ephemeral container, as the API writes it
            (RFC 3339). None if that has not happened.
        limit: seconds that the pod may run after `started`; None for no limit.
    """

    alive: bool
    words: str
    remarks: tuple[str, ...] = ()
    pod: str | None = None
    started: str | None = None
    limit: int | None = None


def job_status(job: Object | None, pods: list[Object], events: list[Object]) -> Status:
    """Returns the status of a session's Job.

    Args:
        job: the Job; None if it no longer exists.
        pods: the pods of the Job. Only the latest one counts, because a Job has one live pod at a time.
        events: events about the Job or its pods; may be empty.
    """
    pod = max(pods, key=lambda pod: _text(pod, "metadata", "creationTimestamp"), default=None)
    if pod is not None:
        return _pod_status(pod, [event for event in events if _concerns(event, pod)])
    if job is None or _text(job, "metadata", "deletionTimestamp"):
        return Status(alive=False, words="was deleted")
    failed = _condition(job, "Failed")
    if failed is not None:
        # The Job creates no second pod. So it fails if somebody deletes its pod.
        remark = _reason_and_message(failed)
        return Status(alive=False, words="failed, its pod is gone", remarks=(remark,) if remark else ())
    return _status_without_pod(job, [event for event in events if _concerns(event, job)])


def ephemeral_status(pod: Object, name: str) -> Status:
    """Returns the status of the ephemeral container `name` in a pod."""
    status = pod.get("status", _NOTHING)
    found = [one for one in status.get("ephemeralContainerStatuses", ()) if one.get("name") == name]
    state = found[0].get("state", _NOTHING) if found else _NOTHING
    if state.get("terminated"):
        words, remarks = _container_end({**found[0], "name": CONTAINER}, state["terminated"])
        return Status(alive=False, words=words, remarks=remarks, started=state["terminated"].get("startedAt"))
    if _text(pod, "metadata", "deletionTimestamp"):
        return Status(alive=False, words="ends with its pod" + _disruption(status))
    if status.get("phase") != "Running":
        return Status(alive=False, words=f"ended with its pod: {_reason_and_message(status) or status.get('phase')}")
    if state.get("running"):
        return Status(alive=True, words="running", started=state["running"].get("startedAt"))
    waiting = state.get("waiting", _NOTHING)
    alive = waiting.get("reason") not in FATAL_REASONS
    return Status(alive=alive, words=_reason_and_message(waiting) or "waits for its node")


def _status_without_pod(job: Object, events: list[Object]) -> Status:
    event = _latest(events, "FailedCreate")
    if event is not None:
        message = _message(event)
        return Status(alive=POD_SECURITY_VIOLATION not in message, words=f"no pod: {message}")
    if job.get("spec", {}).get("suspend"):
        return Status(alive=True, words="suspended, by what queues jobs in this cluster")
    return Status(alive=True, words="has no pod yet")


def _pod_status(pod: Object, events: list[Object]) -> Status:
    status = pod.get("status", _NOTHING)
    phase = status.get("phase", "Pending")
    alive, words = True, ""
    remarks: tuple[str, ...] = ()
    if _text(pod, "metadata", "deletionTimestamp") and not status.get("reason"):
        alive, words = False, "is being deleted" + _disruption(status)
    elif phase in ("Succeeded", "Failed"):
        alive = False
        words, remarks = _pod_end(status)
    elif phase == "Running":
        words = f"running on {printable(pod.get('spec', {}).get('nodeName', 'a node'))}"
    elif phase == "Pending":
        alive, words = _pending(pod, status, events)
    else:
        words = f"{printable(phase)}: its node does not answer"
    limit = pod.get("spec", {}).get("activeDeadlineSeconds")
    return Status(alive, words, remarks, pod["metadata"]["name"], status.get("startTime"), limit)


def _pending(pod: Object, status: Object, events: list[Object]) -> tuple[bool, str]:
    """Returns whether a pending pod may still run, and words for what it waits for."""
    scheduled = _condition(pod, "PodScheduled")
    if scheduled is not None and scheduled.get("status") == "False":
        return True, f"Pending: {_reason_and_message(scheduled)}"
    for container in _containers(status):
        waiting = container.get("state", _NOTHING).get("waiting")
        if waiting is not None and waiting.get("reason") not in ("PodInitializing", None):
            reason = waiting["reason"]
            words = _reason_and_message(waiting)
            if reason == "ContainerCreating":
                words += _current_event(events)
            return reason not in FATAL_REASONS, words
    return True, "Pending" + _current_event(events)


def _current_event(events: list[Object]) -> str:
    """Returns the latest event as `: Reason: message`, if the user should know about it. Otherwise returns "".

    The user should know about warnings, and about the download of the image.
    """
    event = _latest(events)
    return f": {printable(str(event.get('reason')))}: {_message(event)}" if event and _is_notable(event) else ""


def _is_notable(event: Object) -> bool:
    return event.get("type") == "Warning" or event.get("reason") == "Pulling"


def _pod_end(status: Object) -> tuple[str, tuple[str, ...]]:
    """Returns words for how a pod ended, and remarks for the user."""
    if status.get("reason"):  # the node or the cluster has ended the pod: Evicted, DeadlineExceeded, NodeShutdown
        return f"ended: {_reason_and_message(status)}", ()
    for container in _containers(status):
        ended = container.get("state", _NOTHING).get("terminated")
        if ended is not None and (ended.get("exitCode") != 0 or container.get("name") == CONTAINER):
            return _container_end(container, ended)
    return "ended" + _disruption(status), ()


def _container_end(container: Object, terminated: Object) -> tuple[str, tuple[str, ...]]:
    """Returns words for how a container ended, and remarks for the user.

    `terminated`: the state of the container, as Kubernetes describes it.
    """
    code = terminated.get("exitCode", 0)
    words = f"ended with status {code}"
    if terminated.get("reason") not in ("Completed", "Error", None):
        words = f"ended: {_reason_and_message(terminated)} (status {code})"
    elif code > SIGNALLED and code - SIGNALLED in set(signal.Signals):
        words += f" ({signal_name(code - SIGNALLED)})"
    if container.get("name") != CONTAINER:
        return f"{words} in {printable(str(container.get('name')))}", ()
    if code == COMMAND_NOT_FOUND:
        return words, (
            "the image has no Python 3.8 or later, or no sh: take another --image,",
            "or the archive that brings its own Python: --archive agent-standalone.sh",
        )
    return words, ()


def _containers(status: Object) -> Iterable[Object]:
    """Returns the statuses of a pod's containers, in the order in which the containers start."""
    return [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]


def _disruption(status: Object) -> str:
    """Returns `: Reason: message` if the cluster says why it ends the pod; otherwise ""."""
    found = _condition({"status": status}, "DisruptionTarget")
    return f": {_reason_and_message(found)}" if found is not None and found.get("status") == "True" else ""


def _condition(thing: Object, kind: str) -> Object | None:
    """Returns the condition of the type `kind` of a Job or a pod.

    Returns None if there is no such condition, or if its status is Unknown.
    """
    conditions = thing.get("status", _NOTHING).get("conditions") or []
    return next((found for found in conditions if found.get("type") == kind and found.get("status") != "Unknown"), None)


def _reason_and_message(thing: Object) -> str:
    """Returns the reason and the message of a condition or a state, as `Reason: message`."""
    reason, message = thing.get("reason"), thing.get("message")
    return ": ".join(filter(None, (reason and printable(str(reason)), message and _message(thing))))


def _message(thing: Object) -> str:
    """Returns the message of a condition, a state or an event on one line.

    The scheduler's long part about preemption is cut off.
    """
    text = " ".join(str(thing.get("message", "")).split())
    return printable(text.partition(" preemption: ")[0], _MAX_MESSAGE)


def _concerns(event: Object, thing: Object) -> bool:
    return bool(event.get("involvedObject", _NOTHING).get("uid") == thing["metadata"].get("uid"))


def _latest(events: list[Object], reason: str | None = None) -> Object | None:
    """Returns the latest event. If `reason` is given, returns the latest event with this reason. None if there is none.

    The times of events are whole seconds, so several events can have the latest time. Of these, a warning or the
    download of the image is preferred.
    """
    found = [event for event in events if reason in (None, event.get("reason"))]
    return max(found, key=lambda event: (_event_time(event), _is_notable(event)), default=None)


def _event_time(event: Object) -> str:
    """Returns the time at which an event happened last, as RFC 3339 in UTC. Such texts sort in the order of time.

    The field with the time depends on the source of the event: `series` if the event repeats, otherwise `lastTimestamp`
    (older sources) or `eventTime` (newer sources).
    """
    series = event.get("series") or _NOTHING
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return next((str(time) for time in times if time), _text(event, "metadata", "creationTimestamp"))


def _text(thing: Object, *names: str) -> str:
    """Returns the text in a nested field of `thing`. Returns "" if there is no such field, or if it contains no text.

    The further arguments are the names of the fields from outside to inside, such as metadata, creationTimestamp.
    """
    found: Any = thing
    for name in names:
        found = found.get(name) or _NOTHING
    return found if isinstance(found, str) else ""
