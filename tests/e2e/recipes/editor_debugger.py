"""What an editor does with debugpy: attaches, sets a breakpoint, looks at a value there, and lets the program go on.

`python editor_debugger.py PORT PROGRAM LINE EXPRESSION`: PORT is one of this machine, PROGRAM the path of the program
in the job. Prints the value of EXPRESSION at LINE.
"""

from __future__ import annotations

import contextlib
import json
import socket
import sys
from collections.abc import Callable
from typing import Any

from tests.waiting import PATIENCE, wait_until


class Debugger:
    """One connection, in the Debug Adapter Protocol."""

    def __init__(self, port: int) -> None:
        self._sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self._file = self._sock.makefile("rwb")
        self._last = 0
        self._held: list[dict[str, Any]] = []

    def close(self) -> None:
        self._file.close()
        self._sock.close()

    def send(self, command: str, **arguments: object) -> int:
        """Sends a request. Returns its number."""
        self._last += 1
        request = {"seq": self._last, "type": "request", "command": command, "arguments": arguments}
        data = json.dumps(request).encode()
        self._file.write(b"Content-Length: %d\r\n\r\n%s" % (len(data), data))
        self._file.flush()
        return self._last

    def ask(self, command: str, **arguments: object) -> dict[str, Any]:
        """The body of the answer to a request."""
        number = self.send(command, **arguments)
        answer = self._until(lambda message: message.get("request_seq") == number)
        assert answer["success"], answer
        return answer.get("body") or {}

    def event(self, name: str) -> dict[str, Any]:
        """The body of an event, which may have come already."""
        found: dict[str, Any] = self._until(lambda message: message.get("event") == name).get("body", {})
        return found

    def _until(self, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        while True:
            for message in self._held:
                if wanted(message):
                    self._held.remove(message)
                    return message
            self._held.append(self._receive())

    def _receive(self) -> dict[str, Any]:
        name, _, size = self._file.readline().partition(b":")
        if name != b"Content-Length":
            raise ConnectionError(f"nothing listens: {name!r}")
        self._file.readline()
        received: dict[str, Any] = json.loads(self._file.read(int(size)))
        return received


def attached(port: int) -> Debugger | None:
    """A connection on which debugpy has answered; None if it does not listen yet."""
    debugger = None
    with contextlib.suppress(OSError):
        debugger = Debugger(port)
        debugger.ask("initialize", adapterID="editor", clientID="test")
        return debugger
    if debugger is not None:
        debugger.close()
    return None


def main(port: int, program: str, line: int, expression: str) -> None:
    debugger = wait_until(lambda: attached(port), "debugpy")
    assert debugger is not None
    debugger.send("attach", justMyCode=True)
    debugger.event("initialized")
    debugger.ask("setBreakpoints", source={"path": program}, breakpoints=[{"line": line}])
    debugger.ask("configurationDone")
    thread = debugger.event("stopped")["threadId"]
    frame = debugger.ask("stackTrace", threadId=thread)["stackFrames"][0]
    assert frame["line"] == line, frame
    print(debugger.ask("evaluate", expression=expression, frameId=frame["id"])["result"])
    debugger.ask("continue", threadId=thread)
    debugger.event("terminated")
    debugger.close()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4])
