"""The other workers of this reflector, as one worker sees them: connections are handed to who owns the session, and
taken over from who accepted them; each tells the others what lives in it."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import gevent
import gevent.event
import gevent.socket
import structlog
from gevent import monkey
from gevent.socket import wait_read, wait_write

from medusa.protocol.errors import HandshakeError
from medusa.reflector.config import Timeouts
from medusa.reflector.net.listen import HTTP, PROXIED
from medusa.reflector.relay.byte_link import ByteLink
from medusa.reflector.relay.fair_queue import FairQueue
from medusa.reflector.session_name import SessionName, named_by
from medusa.reflector.workers.epoll import unwatch
from medusa.reflector.workers.fd_channel import collect, post
from medusa.reflector.workers.letters import STATUS, BadLetter, Letter, pack, unpack
from medusa.reflector.workers.sharding import owner_of
from medusa.reflector.workers.tls_proxy import open_tls_proxy
from medusa.session import Side
from medusa.transports.socket_stream import SocketStream
from medusa.transports.tls import TlsSocket, over

if TYPE_CHECKING:
    from medusa.reflector.fronts.http_front import Handler

log = structlog.get_logger(component="colleagues")

MAX_STATUS = 64 * 1024 * 1024

FIRST_PAUSE, LONGEST_PAUSE = 0.01, 1.0
"""Seconds until a mailbox is looked into again when this process has no descriptor left."""

AT_ONCE = 16
"""Letters taken from the mailbox before others are let run."""

Entries = list[dict[str, Any]]
Door = Callable[[Any, tuple[Any, ...], bytes], None]
"""Takes over a connection: its socket (gevent's), the peer's address, what was read of it."""

_socketpair: Any = monkey.get_original("socket", "socketpair")


class Colleagues:
    """All workers but this one.

    Attributes:
        number: of this worker.
        doors: for each listener's name, who goes on with a connection that came by it at another worker.
        entries: gives the sessions that live here, as /status shows them.
        answers: for each other question, who answers it: gets what was asked behind the question, and gives what JSON
            can tell.

    Args:
        key: of medusa.reflector.workers.sharding.
        inbox: this worker's; outboxes: the others', by number. None blocks.
        patience: see open_tls_proxy.
    """

    entries: Callable[[], Entries]
    _queue: FairQueue

    def __init__(
        self,
        number: int,
        key: bytes,
        inbox: socket.socket,
        outboxes: Mapping[int, socket.socket],
        patience: float,
        timeouts: Timeouts,
    ) -> None:
        self._timeouts = timeouts
        self.number = number
        self.doors: dict[str, Door] = {}
        self.answers: dict[str, Callable[[Any], object]] = {}
        self._key = key
        self._inbox = inbox
        self._outboxes = outboxes
        self._patience = patience
        self._proxies: set[ByteLink] = set()
        self._proxy_ended = gevent.event.Event()
        self._handed_over = self._taken_over = 0

    def start(self, queue: FairQueue) -> None:
        """Begin to read the mailbox, with what the worker before has left in it. `queue`: the event loop's."""
        self._queue = queue
        gevent.spawn(self._read_forever)

    def finish(self, timeout: float) -> None:
        """Wait for links of other workers' sessions that still have something to pass on, up to `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while self._proxies and (left := deadline - time.monotonic()) > 0:
            self._proxy_ended.clear()
            self._proxy_ended.wait(left)

    # ------------------------------------------------------------------ hand-over

    def owner(self, name: SessionName) -> int | None:
        """The number of the worker that `name` lives in; None for this one."""
        owner = owner_of(name, self._key, len(self._outboxes) + 1)
        return None if owner == self.number else owner

    def hand_over(self, handler: Handler) -> bool:
        """Give the connection, whose head was read, to the owner of the session that it is for; False: that is here.

        Raises:
            HandshakeError: 503, there is no room in its mailbox.
        """
        assert handler.request is not None
        named = named_by(handler.request.target.partition("?")[0])
        owner = self.owner(named[0]) if named else None
        if named is None or owner is None:
            return False
        about = HTTP + PROXIED if handler.proxied else HTTP
        letter = Letter(about, handler.client_address, handler.read_so_far)
        if isinstance(handler.socket, TlsSocket):
            self._proxy_tls(owner, letter, handler, named[1])
        else:
            self.send(owner, letter, handler.socket)
            handler.take_socket()[0].close()
        return True

    def _proxy_tls(self, owner: int, letter: Letter, handler: Handler, side: Side) -> None:
        try:
            near, far = _socketpair()
        except OSError as error:
            raise _refused(owner, error) from None
        try:
            self.send(owner, letter, far)
        except BaseException:
            near.close()
            raise
        finally:
            far.close()
        # What the job wrote last waits for as long as its user lives; an agent must get on with it.
        outer, lenient = over(handler.take_socket()[0]), side is Side.CLIENT
        proxy = open_tls_proxy(self._queue, outer, SocketStream(near), self._patience, lenient, self._forget)
        if not proxy.over:
            self._proxies.add(proxy)

    def _forget(self, proxy: ByteLink) -> None:
        self._proxies.discard(proxy)
        self._proxy_ended.set()

    def send(self, worker: int, letter: Letter, sock: Any) -> None:
        """Give `worker` a duplicate of `sock`, waiting for room in its mailbox. The caller closes `sock` at once then.

        Raises:
            HandshakeError: 503, there was none.
        """
        try:
            self._post(worker, letter, sock.fileno(), self._timeouts.handoff_timeout)
        except (OSError, BadLetter) as error:
            raise _refused(worker, error) from None
        unwatch(sock.fileno())
        self._handed_over += 1

    def _post(self, worker: int, letter: Letter, fd: int, timeout: float) -> None:
        outbox, packet = self._outboxes[worker], pack(letter)
        with gevent.Timeout(timeout, TimeoutError("its mailbox is full")):
            while True:
                try:
                    return post(outbox, packet, fd)
                except BlockingIOError:
                    wait_write(outbox.fileno())

    # ------------------------------------------------------------------ the mailbox

    def _read_forever(self) -> None:
        pause = FIRST_PAUSE
        while True:
            wait_read(self._inbox.fileno())
            try:
                for _ in range(AT_ONCE):
                    self._open(*collect(self._inbox))
                    pause = FIRST_PAUSE
                gevent.sleep(0)
            except BlockingIOError:
                pass
            except BadLetter as error:
                log.error("connection not taken over", error=str(error))
            except OSError as error:  # there is no room for it now
                log.error("the system refuses", error=os.strerror(error.errno or 0))
                gevent.sleep(pause)
                pause = min(LONGEST_PAUSE, pause * 2)
            except Exception:  # a bug: one connection is lost, and not the mailbox
                log.exception("internal error")

    def _open(self, packet: bytes, fd: int) -> None:
        try:
            sock = gevent.socket.socket(fileno=fd)
        except OSError as error:
            socket.close(fd)
            raise BadLetter("not a socket: %s" % error) from None
        try:
            letter = unpack(packet)
            door = self._answer_status if letter.about == STATUS else self.doors.get(letter.about)
            if door is None:
                raise BadLetter("no listener of this name")
        except BadLetter:
            sock.close()
            raise
        self._taken_over += letter.about != STATUS
        gevent.spawn(door, sock, letter.address, letter.data)

    # ------------------------------------------------------------------ status

    def status(self) -> tuple[Entries, Entries]:
        """(the sessions of all workers, a line on each worker)."""
        told: Entries = [self._own_status(), *self._ask_all()]
        told.sort(key=lambda status: status["worker"])
        sessions = [entry for status in told for entry in status.pop("sessions", [])]
        return sorted(sessions, key=lambda entry: entry["create_time"]), told

    def ask_all(self, question: str) -> list[Any]:
        """The answers of those that gave one."""
        return [told["answer"] for told in self._ask_all(question) if "answer" in told]

    def ask(self, worker: int, question: str, about: object) -> Any:
        """The answer of one worker; None: it gave none."""
        return self._ask(worker, question, about).get("answer")

    def _ask_all(self, question: str = "") -> Entries:
        questions = [gevent.spawn(self._ask, number, question) for number in self._outboxes]
        return [question.get() for question in questions]

    def _own_status(self) -> dict[str, Any]:
        return {
            "worker": self.number,
            "pid": os.getpid(),
            "handed_over": self._handed_over,
            "taken_over": self._taken_over,
            "sessions": [{**entry, "worker": self.number} for entry in self.entries()],
        }

    def _ask(self, number: int, question: str = "", about: object = None) -> dict[str, Any]:
        near, far = _socketpair()
        with gevent.socket.socket(fileno=near.detach()) as answers, far:
            begun = time.monotonic()
            try:
                data = json.dumps([question, about]).encode() if question else b""
                self._post(number, Letter(STATUS, data=data), far.fileno(), self._timeouts.status_timeout)
                far.close()
                with gevent.Timeout(
                    begun + self._timeouts.status_timeout - time.monotonic(), TimeoutError("no answer in time")
                ):
                    told: dict[str, Any] = json.loads(_read_all(answers))
            except OSError as error:
                return {"worker": number, "error": str(error)}
            except ValueError:
                return {"worker": number, "error": "no whole answer"}
            return told

    def _answer_status(self, sock: Any, _: object, data: bytes) -> None:
        with sock:
            try:
                sock.settimeout(self._timeouts.status_timeout)
                sock.sendall(json.dumps(self._answer(data) if data else self._own_status()).encode())
            except OSError:
                pass  # who asked waits no longer

    def _answer(self, data: bytes) -> dict[str, Any]:
        question, about = json.loads(data)
        answer = self.answers.get(question)
        return {"worker": self.number, **({"answer": answer(about)} if answer else {})}


def _refused(worker: int, error: Exception) -> HandshakeError:
    log.error("connection not handed over", to=worker, error=str(error))
    return HandshakeError(503, "the part of this reflector that it is for does not answer", (("Retry-After", "5"),))


def _read_all(sock: Any) -> bytes:
    parts = bytearray()
    while data := sock.recv(1 << 16):
        parts += data
        if len(parts) > MAX_STATUS:
            raise ValueError("an answer above %d bytes" % MAX_STATUS)
    return bytes(parts)
