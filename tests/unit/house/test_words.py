"""Names of times, sentences that have to be read twice, docstrings about another thing."""

from __future__ import annotations

import re

import pytest

from tests.unit.house.sources import outline, prose, relative, tracked_sources

NO_TIME = re.compile(r"(?:^|_)(?:PATIENCE|LOOKS?|AGAIN|PAUSES?|PERIODS?|SETTLE)(?:_|$)")
"""Names that do not say which time is meant: TIMEOUT, INTERVAL and GRACE do (CONTRIBUTING)."""

IDIOMS = re.compile(
    r"""
    \b(?:as|behind|by|for|from|of|than|to|with)\ who\b(?!\ (?:is|are|may|owns)\b)  # "who" as a noun
    | \bwhoever\b
    | (?:^|[.;:]\ )Who\ \w+\b[^?]*$                                                  # "Who dials is ..."
    | \bin\ vain\b
    | \bas\ ever\b
    """,
    re.VERBOSE | re.MULTILINE,
)
"""What a reader has to read twice."""

AS_ANOTHER = re.compile(r"As (?:`|\w+[,.])")
"""A docstring that starts so says what another thing does, not what this one does."""


def test_the_name_of_a_time_says_what_it_is() -> None:
    found = [
        f"{relative(path)}:{line} {name}"
        for path in tracked_sources(".py")
        if relative(path).startswith(("agent/", "medusa/"))
        for line, name in outline(path).assigned
        if NO_TIME.search(name)
    ]
    assert found == []


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("A place for who reads.", True),
        ("Kept; whoever asks gets it.", True),
        ("Who dials is not the owner.", True),
        ("It waits in vain.", True),
        ("A table of who may see what. Who is it?", False),
        ("The peer that dials, as every peer does.", False),
    ],
)
def test_idioms_are_found(text: str, odd: bool) -> None:
    assert bool(IDIOMS.search(text)) is odd


def test_no_sentence_has_to_be_read_twice() -> None:
    found = [
        f"{relative(path)}:{line + text.count(chr(10), 0, match.start())}: {match[0].strip()[:50]}"
        for path, line, text in prose(".c", ".js", ".md", ".py", ".sh")
        for match in IDIOMS.finditer(text)
    ]
    assert found == []


def test_a_docstring_says_what_its_own_subject_does() -> None:
    found = [f"{relative(path)}:{line}" for path, line, text in prose(".py") if AS_ANOTHER.match(text)]
    assert found == []
