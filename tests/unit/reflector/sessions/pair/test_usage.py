from __future__ import annotations

import time

import pytest
from structlog.types import EventDict

from medusa.protocol.http.about import About
from medusa.reflector.session_name import SessionName
from medusa.reflector.sessions.pair.usage import Usage
from medusa.session import Outcome, Side


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The monotonic time; a test sets its one element."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_a_linked_session(clock: list[float], logs: list[EventDict]) -> None:
    record = Usage(SessionName("abc"))
    record.started(Side.CLIENT, "127.0.0.1:1")
    clock[0] = 102.5
    record.linked()
    record.describe(Side.AGENT, About("not the agent's", "gpu01", "slurm 4711", 1790000000))
    record.describe(Side.CLIENT, About("train", host="not the client's"))
    record.because(Side.AGENT, "closed (first)")
    record.because(Side.CLIENT, "what follows from it")
    clock[0] = 110.25
    record.session_ended(
        Outcome.COMPLETED, record.reason, 1, {"client": "127.0.0.1:1", "agent": "127.0.0.1:2"}, {"client_bytes": 7}
    )
    assert [entry.pop("component") for entry in logs] == ["usage", "usage"]
    assert logs == [
        {"log_level": "info", "event": "session started", "session": "abc", "client": "127.0.0.1:1"},
        {
            "log_level": "info",
            "event": "session ended",
            "session": "abc",
            "session_name": "train",
            "host": "gpu01",
            "job": "slurm 4711",
            "outcome": "completed",
            "reason": "agent: closed (first)",
            "waited_s": 2.5,
            "linked_s": 7.75,
            "legs": 1,
            "client": "127.0.0.1:1",
            "agent": "127.0.0.1:2",
            "client_bytes": 7,
        },
    ]


def test_a_lonely_session(clock: list[float], logs: list[EventDict]) -> None:
    record = Usage(SessionName("abc"))
    clock[0] = 104.0
    record.session_ended(Outcome.LONELY, record.reason, 1, {}, {})
    assert (logs[0]["waited_s"], logs[0]["linked_s"], logs[0]["reason"]) == (4.0, 0.0, "")


def test_a_reason_from_the_network_is_escaped_and_bounded() -> None:
    record = Usage(SessionName("abc"))
    record.because(Side.CLIENT, "\x1b[2J\n\u202e" + "x" * 10_000)
    assert record.reason.startswith("client: \\x1b[2J\\x0a\\u202ex")
    assert len(record.reason) < 300
