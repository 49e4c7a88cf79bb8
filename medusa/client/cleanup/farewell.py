"""Tells the agent, after mlogin has ended, that mlogin does not come back. Opens a new connection for that.

The guard process (a helper of mlogin) does this if mlogin had lost its connection when it ended. Otherwise the agent
would wait for mlogin: it would keep the command of a user who has ended the session, and would later end the terminal
of a user who has detached. If the job is over, the guard process tells the reflector that. Otherwise the reflector
would keep the session for the agent.
"""

from __future__ import annotations

import contextlib
import json
import select
import time
from collections.abc import Sequence

from medusa.client.timeouts import FAREWELL_TIMEOUT
from medusa.protocol.control import Control, Linkup, Start, StreamAnswer, build, parse
from medusa.protocol.http.own_header import Field
from medusa.protocol.messages import Binary, Close, Text
from medusa.protocol.record import fields_of, record, replace
from medusa.protocol.resume.offer import StreamOffer
from medusa.session import JOB_OVER
from medusa.transports.base import BrokenTransport, ClosedTransport, Transport
from medusa.transports.connect import connect
from medusa.transports.dial import ConnectRefused

INTERVAL = 1.0
"""Seconds between two attempts."""

_FINAL = (401, 403, 410)
"""The HTTP statuses after which no further attempt is made: the session has ended, or the ticket is not accepted."""

_NO_COMMAND = Start(command="/bin/sh", arguments=("-c", ":"))


@record
class Farewell:
    """A message to the agent that its client does not come back, with all that is needed to send it.

    If the job is over, there is no agent: the message then tells the reflector that the job is over.

    Attributes:
        url: the URL at which the session's client attaches.
        headers: the header fields of the request. One of them is the ticket, a secret.
        stream: the id of the client's byte stream, which the agent is to end; "" if the job is over.
        received: the number of bytes of the stream that have arrived at mlogin.
        messages: messages of the stream, in hexadecimal digits, that the agent gets before. They have what was typed,
            and the request to detach. Without messages, the agent ends what runs on the stream.
        insecure_tls: True to accept any certificate.
        embedded: True if the reflector belongs to mlogin, and ends with it. Then one failed connection means that the
            reflector is gone, and the proxy that the environment names is not used.
    """

    url: str
    headers: Sequence[Field]
    stream: str
    received: int
    messages: Sequence[str]
    insecure_tls: bool
    embedded: bool

    @property
    def text(self) -> str:
        """The farewell as one line of text, which `parse` reads. The line contains a secret, the ticket."""
        return json.dumps(fields_of(self))

    @classmethod
    def parse(cls, text: str) -> Farewell:
        """Returns the farewell that `text` describes, a line from the property `text`.

        Raises ValueError or TypeError if `text` describes none.
        """
        found = cls(**json.loads(text))
        return replace(found, headers=[(name, value) for name, value in found.headers])

    def say(self, timeout: float = FAREWELL_TIMEOUT) -> None:
        """Sends the farewell to the agent. Never raises.

        Tries again until the agent has answered, the reflector has refused for good, or `timeout` seconds have passed.
        """
        deadline = time.monotonic() + timeout
        while (left := deadline - time.monotonic()) > 0:
            try:
                link = connect(
                    self.url,
                    insecure_tls=self.insecure_tls,
                    timeout=left,
                    headers=self.headers,
                    proxies=not self.embedded,
                )
            except ConnectRefused as refused:
                if refused.status in _FINAL or (self.embedded and refused.status is None):
                    return
            else:
                with contextlib.suppress(BrokenTransport, ClosedTransport, TimeoutError):
                    self._speak(link, deadline)
                    return
                link.abort()
            time.sleep(min(INTERVAL, max(0.0, deadline - time.monotonic())))

    def _speak(self, link: Transport, deadline: float) -> None:
        if not self.stream:
            link.close(JOB_OVER, "the job is over", max(0.0, deadline - time.monotonic()))
            return
        _hear(link, Linkup, deadline)
        offer = StreamOffer(self.stream, resume=True, received=self.received)
        link.send_nowait(Text(build(replace(_NO_COMMAND, stream=offer))))
        _hear(link, StreamAnswer, deadline)
        for message in self.messages:
            _send(link, Binary(bytes.fromhex(message)), deadline)
        link.close(1000, "done", max(0.0, deadline - time.monotonic()))


def _send(link: Transport, message: Binary, deadline: float) -> None:
    """Sends a message. Raises TimeoutError, ClosedTransport and BrokenTransport."""
    poll = select.poll()
    poll.register(link.fileno(), select.POLLOUT)
    link.send_nowait(message)
    while link.wants_write:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        poll.poll(left * 1000)
        link.flush()


def _hear(link: Transport, kind: type[Control], deadline: float) -> None:
    """Waits until a control message of the class `kind` arrives, and skips all other messages. Returns None.

    `deadline` is a time of time.monotonic().

    Raises:
        TimeoutError: the deadline has passed.
        ClosedTransport, BrokenTransport: the connection has ended.
    """
    poll = select.poll()
    poll.register(link.fileno(), select.POLLIN)
    while True:
        message = link.receive_nowait()
        if isinstance(message, Text) and isinstance(parse(message.text), kind):
            return
        if isinstance(message, Close):
            raise ClosedTransport(message)
        if message is None:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            poll.poll(left * 1000)
