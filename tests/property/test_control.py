"""Any text parses to a message or to None; what is built from a message parses back to it."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from medusa.protocol.control import MESSAGES, Control, Exit, Resize, Start, build, parse

words = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
sizes = st.integers(0, 65535)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(["cwd", "term", "columns", "lines", "command", "arguments", "pid", "error", "status", "signal"])
names |= st.sampled_from(["modes", "env", "named"])


@given(
    message=st.builds(Start, words, words, sizes, sizes, words, st.lists(words, max_size=4).map(tuple))
    | st.builds(Resize, sizes, sizes)
    | st.builds(Exit, st.none() | st.integers(0, 255), st.none() | words)
)
def test_round_trip(message: Control) -> None:
    assert parse(build(message)) == message


@given(key=st.sampled_from(sorted(MESSAGES)), fields=st.dictionaries(names, values, max_size=5))
def test_fields_of_any_kind(key: tuple[str, str], fields: dict[str, object]) -> None:
    prefix, name = key
    message = parse(prefix + json.dumps({**fields, "type": name}))
    assert message is None or type(message) is MESSAGES[key]


@given(prefix=st.sampled_from(["medusa:", "mlogin:", ""]), body=st.text(max_size=50))
def test_any_text(prefix: str, body: str) -> None:
    message = parse(prefix + body)
    assert message is None or type(message) in MESSAGES.values()
