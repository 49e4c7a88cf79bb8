"""Builds the text about the state machines that stands in docs/protocol.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from medusa.session.holding import HOME_TABLE
from medusa.session.machine import TABLE
from medusa.session.terms import OUTCOME_MEANINGS

_OF_PAIR = "Of a pair of client and agent:"
_OF_HOME = "Of the home link of an agent that holds its session:"


def document() -> str:
    """Returns the diagrams and the tables of this package in Markdown, for docs/protocol.md."""
    outcomes = ["| outcome | meaning |", "|---|---|"]
    outcomes += ["| %s | %s |" % (outcome.value, meaning) for outcome, meaning in OUTCOME_MEANINGS.items()]
    parts = [_OF_PAIR, "", *_table(TABLE, ["CLAIMED"]), "", _OF_HOME, "", *_table(HOME_TABLE, ["CLAIMED", "AWAITED"])]
    return "\n".join([*parts, "", *outcomes])


def _table(table: Mapping[tuple[Any, Any], Any], begins: list[str]) -> list[str]:
    """Returns the lines of the diagram and the table of one state machine, which begins in the states `begins`."""
    edges: dict[tuple[str, str], list[str]] = {}
    rows = ["| state | input | next | actions | outcome |", "|---|---|---|---|---|"]
    for (state, happened), step in table.items():
        edges.setdefault((state.name, step.next.name), []).append(happened.name)
        actions = ", ".join(action.name for action in step.actions) or "none"
        outcome = step.outcome.value if step.outcome else ""
        rows.append("| %s | %s | %s | %s | %s |" % (state.name, happened.name, step.next.name, actions, outcome))
    arrows = [
        "    %s --> %s: %s" % (*edge, ", ".join(names[at : at + 5]))
        for edge, names in edges.items()
        for at in range(0, len(names), 5)
    ]
    starts = ["    [*] --> %s" % state for state in begins]
    return ["```mermaid", "stateDiagram-v2", *starts, *arrows, "    ENDED --> [*]", "```", "", *rows]
