"""The words about what is forwarded."""

from __future__ import annotations

import pytest

from medusa.client.forwarding.report import TOO_OLD, Report
from medusa.client.places.specs import Place, Side, parse_forward
from medusa.protocol.channels.frames import Reason
from tests.waiting import Clock


def test_a_line_is_not_repeated_at_once() -> None:
    lines: list[str] = []
    clock = Clock()
    report = Report(lines.append, clock=clock)
    for _ in range(3):
        report.refused(Reason("refused", "localhost:9: Connection refused"))
    report.problem("another one")
    clock.sleep(1.0)
    report.refused(Reason("refused", "localhost:9: Connection refused"))
    first = "not forwarded: in the job, localhost:9: Connection refused"
    assert lines == [first, "another one", first]


def test_what_is_forbidden() -> None:
    lines: list[str] = []
    Report(lines.append).refused(Reason("forbidden", "the job's agent runs with --no-forwarding"))
    assert lines == ["not forwarded: the job's agent runs with --no-forwarding"]


def test_an_agent_without_forwarding() -> None:
    lines: list[str] = []
    Report(lines.append).refused(Reason("unsupported", "cannot open channels of the kind tcp"))
    assert lines == [TOO_OLD]


@pytest.mark.parametrize(
    ("side", "text", "line"),
    [
        (Side.LOCAL, "0:web:80", "forwarding 127.0.0.1:4000 to web:80"),
        (Side.REMOTE, "0:web:80", "forwarding 127.0.0.1:4000 in the job to web:80"),
        (Side.DYNAMIC, "0", "forwarding 127.0.0.1:4000 to whatever SOCKS asks for"),
        (Side.LOCAL, "4000:web:80", None),
        (Side.LOCAL, "/here:web:80", None),
    ],
)
def test_a_free_port_is_shown(side: Side, text: str, line: str | None) -> None:
    lines: list[str] = []
    said: list[str] = []
    forward = parse_forward(side, text)
    Report(lines.append).forwarding(forward, Place("127.0.0.1", 4000))
    Report(lines.append, said.append).forwarding(forward, Place("127.0.0.1", 4000))
    assert (lines, len(said)) == (([line, line], 0) if line else ([], 1))
