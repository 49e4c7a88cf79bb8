"""Prints the state machine's table for docs/protocol.md."""

from __future__ import annotations

from medusa.session.machine import TABLE
from medusa.session.terms import OUTCOME_MEANINGS


def document() -> str:
    """Returns the diagram and the tables of this module in Markdown, for docs/protocol.md."""
    edges: dict[tuple[str, str], list[str]] = {}
    rows = ["| state | input | next | actions | outcome |", "|---|---|---|---|---|"]
    for (state, happened), step in TABLE.items():
        edges.setdefault((state.name, step.next.name), []).append(happened.name)
        actions = ", ".join(action.name for action in step.actions) or "none"
        outcome = step.outcome.value if step.outcome else ""
        rows.append("| %s | %s | %s | %s | %s |" % (state.name, happened.name, step.next.name, actions, outcome))
    arrows = [
        "    %s --> %s: %s" % (*edge, ", ".join(names[at : at + 5]))
        for edge, names in edges.items()
        for at in range(0, len(names), 5)
    ]
    diagram = ["```mermaid", "stateDiagram-v2", "    [*] --> CLAIMED", *arrows, "    ENDED --> [*]", "```"]
    outcomes = ["| outcome | meaning |", "|---|---|"]
    outcomes += ["| %s | %s |" % (outcome.value, meaning) for outcome, meaning in OUTCOME_MEANINGS.items()]
    return "\n".join([*diagram, "", *rows, "", *outcomes])
