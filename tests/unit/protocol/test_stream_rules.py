"""The rules of offsets and windows; and that each of them is tested: code with one number changed breaks a rule."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.streams import record_rules, turn_rules, window_rules  # noqa: F401 (they fill RULES)
from tests.streams.rule import RULES
from tests.streams.world import Code, changed

CHANGES = [
    # what is sent, and kept
    ("resume.stream", "self._next = self.sent = start + size", "self._next = self.sent = start + size - 1"),
    ("resume.stream", "self._kept.views(start - self.acknowledged,", "self._kept.views(start,"),
    ("resume.stream", "if start < self.sent:\n            pieces", "if start < self.sent - 1:\n            pieces"),
    ("resume.stream", "free = MAX_KEPT - self.kept", "free = MAX_KEPT + self.kept"),
    ("resume.stream", "free + MAX_KEPT_CONTROL)", "free)"),
    ("resume.byte_queue", "memoryview(piece)[skip : skip + limit]", "memoryview(piece)[skip : skip + limit + 1]"),
    ("resume.byte_queue", "size += self._start", "size += 0"),
    ("resume.byte_queue", "piece[max(0, skip - at) : stop - at]", "piece[max(0, skip - at) : limit]"),
    ("resume.byte_queue", "while pieces and size >= len(pieces[0]):", "while pieces and size > len(pieces[0]):"),
    ("resume.stream", "MAX_MESSAGE) - 2 * RECORD.size", "MAX_MESSAGE) - RECORD.size"),
    # acknowledgements
    ("resume.stream", "if offset > self.sent:", "if offset > self.sent + 1:"),
    ("resume.stream", "if not self.acknowledged <= received <= self.sent:", "if not 0 <= received <= self.sent:"),
    ("resume.stream", "self.received - self._told >= ACK_AFTER", "self.received - self._told > ACK_AFTER"),
    ("resume.stream", "if self.received > self._told else", "if self.received >= self._told else"),
    ("resume.stream", "self._next = max(self._next, offset)", "self._next = self._next"),
    ("resume.stream", "offset >= self._timed[0]", "offset >= self._timed[0] - 1"),
    # what arrives
    ("resume.stream", "if offset > self.received:", "if offset > self.received + 1:"),
    ("resume.stream", "data[self.received - offset :]", "data[max(0, self.received - offset - 1) :]"),
    # windows
    ("channels.multiplexer", "reader.received + length > reader.limit", "reader.received + length > reader.limit + 1"),
    ("channels.multiplexer", "reader.received + length > reader.limit", "reader.received + length >= reader.limit"),
    ("channels.subs", "more = self.taken + size - self.limit", "more = self.received + size - self.limit"),
    ("channels.subs", "if more >= max(1, size // 4):", "if more >= max(1, size // 2):"),
    ("channels.subs", "if more >= max(1, size // 4):", "if more >= max(1, size // 5):"),
    ("channels.subs", "used = max(MIN_WINDOW, self.limit - self.taken)", "used = self.limit - self.received"),
    ("channels.subs", "self._windows.spare + self._charged - max", "self._windows.spare - max"),
    ("channels.subs", "self._windows.budget.use(used - self._charged)", "self._windows.budget.use(used)"),
    ("channels.windows", "self.size + min(size, spare)", "self.size + size"),
    ("channels.windows", "self.size - size // 2", "self.size"),
    ("channels.windows", "self.LONG + int(LONG_RATE", "self.LONG + 0 * int(LONG_RATE"),
    ("channels.windows", "// MAX_QUEUED * MAX_QUEUED", ""),
    ("channels.windows", "self._sum), self.most,", "self._sum), self.MOST,"),
    ("resume.stream", "        self.round_trip.clear()\n", ""),
    ("channels.windows", "self.budget.free - self._reserved", "self.budget.free"),
    ("channels.windows", "now - TERMINAL_DELAY - 2 * self._round_trip()", "now - TERMINAL_DELAY"),
    ("channels.windows", "self._sum -= taken.popleft()[1]", "taken.popleft()"),
    ("channels.channel", "writer.limit - writer.written", "writer.limit - writer.sent"),
    ("channels.channel", "most - mine", "most"),
    ("channels.channel", "if mine == all_data else", "if mine <= all_data else"),
    # frames
    ("channels.sending.queue", "memoryview(payload)[taken:]", "memoryview(payload)[taken + 1 :]"),
    ("channels.sending.queue", "min(limit, data) - used", "min(limit, data)"),
    ("channels.sending.queue", "limit - used - HEADER.size", "limit - used"),
    ("channels.sending.outbox", "self._control_size -= used", "self._control_size -= 0"),
    ("channels.sending.outbox", "data - limit + left", "data"),
    ("channels.parser", "self._rest -= stop - at", "self._rest = 0"),
    ("channels.parser", "stop = at + size - len(partial)", "stop = at + size"),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_a_rule(rule: Callable[[Code], None]) -> None:
    rule(Code())


@pytest.mark.parametrize(("name", "old", "new"), CHANGES, ids=lambda value: value if " " in value else "")
def test_a_wrong_number_breaks_a_rule(name: str, old: str, new: str) -> None:
    with changed(f"medusa.protocol.{name}", old, new) as code:
        assert any(broken(rule, code) for rule in RULES)


def broken(rule: Callable[[Code], None], code: Code) -> bool:
    try:
        rule(code)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 (whatever it is, the change was noticed)
        return True
    return False
