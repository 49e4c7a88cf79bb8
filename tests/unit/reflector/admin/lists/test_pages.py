"""One list of the lists of several processes, a part at a time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medusa.reflector.admin.lists.pages import Entry, Part, Query, Source, key_of, merged, oldest_first, once

NAMES = st.tuples(st.sampled_from(["", "alice", "bob"]), st.text("012~", min_size=1, max_size=3))


def entry(name: tuple[str, str], owner: int = 0) -> Entry:
    return {"id": name[1], "login": name[0] or None, "owner": owner}


def source(entries: list[Entry], most: int) -> Source:
    """A process that has these sessions, and tells at most so many at a time."""

    def tell(query: Query) -> Part:
        wanted = sorted(query.wanted(entries), key=key_of)
        told = wanted[: min(most, query.limit)]
        return Part(told, key_of(told[-1]) if len(told) < len(wanted) else None)

    return tell


@given(
    st.lists(st.tuples(st.sets(NAMES), st.integers(1, 5)), max_size=5),
    st.integers(1, 10),
    st.sampled_from([Query(), Query(""), Query("alice", "1"), Query(prefix="2")]),
)
def test_all_sessions_are_in_one_part(
    processes: list[tuple[set[tuple[str, str]], int]], limit: int, query: Query
) -> None:
    """And those of one name, at several processes, in the same."""
    entries = [[entry(name, owner) for name in names] for owner, (names, _) in enumerate(processes)]
    sources = [source(own, most) for own, (_, most) in zip(entries, processes, strict=True)]
    parts, after = list[list[Entry]](), ""
    while True:
        found, upto = merged(sources, query._replace(after=after, limit=limit))
        assert all(after < key_of(each) for each in found)
        assert upto is None or all(key_of(each) <= upto for each in found)
        assert upto is None or 2 * len(found) >= limit
        assert len(found) < limit + max(1, len(processes))
        parts.append(found)
        if upto is None:
            break
        assert upto > after
        after = upto
    told = [(key_of(each), each["owner"]) for part in parts for each in part]
    wanted = [(key_of(each), each["owner"]) for own in entries for each in query.wanted(own)]
    assert sorted(told) == sorted(wanted)


def test_each_source_is_asked_once_or_twice_for_a_part() -> None:
    asked = list[tuple[int, int]]()

    def of(number: int, entries: list[Entry]) -> Source:
        def tell(query: Query) -> Part:
            asked.append((number, query.limit))
            return source(entries, 1000)(query)

        return tell

    names = [("", "%05d" % (number * 7919 % 10_000)) for number in range(10_000)]
    spread = [of(at, [entry(name) for name in names[at::100]]) for at in range(100)]
    found, upto = merged(spread, Query(limit=1000))
    assert len(asked) == 100
    assert len(found) >= 500
    assert upto is not None
    asked.clear()
    alone = [of(0, [entry(name) for name in names]), *(of(at, []) for at in range(1, 100))]
    assert len(merged(alone, Query(limit=1000)).entries) == 1000
    assert asked[100:] == [(0, 990)]


@pytest.mark.parametrize("backwards", [False, True])
def test_the_entry_that_says_most_is_shown(backwards: bool) -> None:
    asked = {"id": "1", "login": None, "state": "held", "created": 5.0}
    entries: list[Entry] = [
        {"id": "1", "login": None, "owner": "there", "error": "silent"},
        {**asked, "idle_s": 7.0},
        {**asked, "idle_s": 3.0},
        {"id": "2", "login": None, "state": "held", "created": 6.0, "idle_s": 1.0},
        {"id": "2", "login": None, "state": "linked", "created": 7.0},
    ]
    shown = once(entries[::-1] if backwards else entries)
    assert [e.get("idle_s") for e in sorted(shown, key=lambda e: str(e["id"]))] == [3.0, None]
    assert [e["id"] for e in oldest_first(shown)] == ["1", "2"]
