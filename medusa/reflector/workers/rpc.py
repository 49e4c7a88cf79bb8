"""Questions between the workers of this reflector: "which sessions do you have?", "what are your metrics?".

A question is sent as a message with a descriptor: a socket for the answer. Question and answer are JSON. The question
is [name, argument]. The answer is {"answer": ...}, or {} if the worker does not know the question.
"""

from __future__ import annotations

import functools
import json
import os
import time
from collections.abc import Callable
from typing import Any

import gevent
import gevent.socket

from medusa.reflector.admin.lists.pages import Part, Query, Source
from medusa.reflector.admin.lists.session_list import SessionList
from medusa.reflector.config import Timeouts
from medusa.reflector.metrics import Metrics
from medusa.reflector.session_name import SessionName
from medusa.reflector.workers.fd_channel import QUESTION, Message
from medusa.reflector.workers.handoff import Handoff, socketpair

MAX_ANSWER = 64 * 1024 * 1024
"""The maximum size of an answer in bytes."""

_ALIVE, _STATUS, _SESSIONS, _KILL, _DRAIN, _METRICS = "alive", "status", "sessions", "kill", "drain", "metrics"

Entries = list[dict[str, Any]]


class Rpc:
    """Asks the other workers, and answers their questions.

    Attributes:
        answers: functions by the name of a question. Each gets the question's argument, and returns the answer, which
            must fit into JSON.
    """

    def __init__(self, handoff: Handoff, timeouts: Timeouts) -> None:
        self.answers: dict[str, Callable[[Any], object]] = {}
        self._handoff = handoff
        self._timeout = timeouts.status_timeout
        handoff.on_question = self._serve

    def ask(self, worker: int, question: str, argument: object = None) -> dict[str, Any]:
        """Asks another worker a question, and returns its reply.

        The reply is {"answer": ...}, or {} if the worker does not know the question. If the worker does not answer, the
        reply is {"error": reason}.
        """
        try:
            near, far = socketpair()
        except OSError as error:
            return {"error": str(error)}
        with gevent.socket.socket(fileno=near.detach()) as sock, far:
            begun = time.monotonic()
            try:
                message = Message(QUESTION, data=json.dumps([question, argument]).encode())
                self._handoff.post(worker, message, far.fileno(), self._timeout)
                far.close()
                left = begun + self._timeout - time.monotonic()
                with gevent.Timeout(left, TimeoutError("no answer in time")):
                    answer: dict[str, Any] = json.loads(_read_all(sock))
            except OSError as error:
                return {"error": str(error)}
            except ValueError:
                return {"error": "no whole answer"}
            return answer

    def ask_all(self, question: str, argument: object = None) -> dict[int, dict[str, Any]]:
        """Asks all other workers at the same time. Returns the results of `ask` by worker number."""
        asking = {worker: gevent.spawn(self.ask, worker, question, argument) for worker in self._handoff.others}
        return {worker: greenlet.get() for worker, greenlet in asking.items()}

    def _serve(self, sock: Any, data: bytes) -> None:
        with sock:
            question, argument = json.loads(data)
            answer = self.answers.get(question)
            try:
                sock.settimeout(self._timeout)
                sock.sendall(json.dumps({"answer": answer(argument)} if answer else {}).encode())
            except OSError:
                pass  # the worker that asked no longer waits


class OtherWorkers:
    """Asks the other workers for their sessions and metrics. A worker that does not answer is left out.

    This class implements `Workers` of medusa.reflector.admin.lists.others.
    """

    def __init__(self, handoff: Handoff, rpc: Rpc) -> None:
        self._handoff = handoff
        self._rpc = rpc

    def serve(self, status: Callable[[], Entries], listing: SessionList, metrics: Metrics) -> None:
        """Starts to answer the other workers' questions.

        Args:
            status: returns the sessions of this worker in the form that /status shows.
            listing: lists and ends the sessions of this worker.
            metrics: the metrics of this worker.
        """

        def text_of(metrics: Metrics) -> str:
            from medusa.reflector.admin.exposition import exposition  # takes long to import

            return exposition(metrics.families()).decode()

        def kill(name: Any) -> bool:
            return listing.kill_local(SessionName(*name))

        self._rpc.answers[_ALIVE] = lambda _: True
        self._rpc.answers[_STATUS] = lambda _: {
            "worker": self._handoff.number,
            "pid": os.getpid(),
            "handed_over": self._handoff.handed_over,
            "taken_over": self._handoff.taken_over,
            "sessions": [{**entry, "worker": self._handoff.number} for entry in status()],
        }
        self._rpc.answers[_SESSIONS] = lambda query: listing.local(Query(*query))
        self._rpc.answers[_KILL] = kill
        self._rpc.answers[_DRAIN] = lambda told: listing.drain_local(SessionName(*told[0]), *told[1:])
        self._rpc.answers[_METRICS] = lambda _: text_of(metrics)

    def status(self) -> tuple[Entries, Entries]:
        """Returns two lists for /status: an entry for each session of all workers, and an entry for each worker.

        Both lists include this worker.
        """
        own: Any = self._rpc.answers[_STATUS](None)
        others = self._rpc.ask_all(_STATUS).items()
        workers: Entries = [own, *(reply.get("answer") or {"worker": number, **reply} for number, reply in others)]
        workers.sort(key=lambda worker: worker["worker"])
        sessions = [entry for worker in workers for entry in worker.pop("sessions", [])]
        return sorted(sessions, key=lambda entry: entry["create_time"]), workers

    def silent(self) -> list[int]:
        """Returns the numbers of the other workers that do not answer in time."""
        return [worker for worker, reply in self._rpc.ask_all(_ALIVE).items() if "answer" not in reply]

    def sources(self) -> list[Source]:
        """Returns a function for each other worker, which returns the sessions of that worker."""
        return [functools.partial(self._part, worker) for worker in self._handoff.others]

    def _part(self, worker: int, query: Query) -> Part:
        reply = self._rpc.ask(worker, _SESSIONS, query)
        return Part(*reply["answer"]) if "answer" in reply else Part([])

    def kill(self, name: SessionName) -> bool:
        """Ends a session of another worker.

        Returns False if there is no such session, or if the worker that owns it does not answer.
        """
        owner = self._handoff.owner(name)
        return owner is not None and bool(self._rpc.ask(owner, _KILL, name).get("answer"))

    def drain(self, name: SessionName, left: float, peer: str) -> bool:
        """Ends a forwarded pair of client and agent in `left` seconds, if the session lives in another worker.

        Returns False if there is no such pair, if its client cannot show the user a text, or if the worker does not
        answer. See SessionList.drain_here.
        """
        owner = self._handoff.owner(name)
        return owner is not None and bool(self._rpc.ask(owner, _DRAIN, [name, left, peer]).get("answer"))

    def metrics(self) -> list[str]:
        """Returns a list with the metrics of each other worker, in Prometheus' text format."""
        return [reply["answer"] for reply in self._rpc.ask_all(_METRICS).values() if "answer" in reply]


def _read_all(sock: Any) -> bytes:
    parts = bytearray()
    while data := sock.recv(1 << 16):
        parts += data
        if len(parts) > MAX_ANSWER:
            raise ValueError("an answer above %d bytes" % MAX_ANSWER)
    return bytes(parts)
