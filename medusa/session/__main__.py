"""Prints the tables of the state machines that stand in docs/protocol.md."""

from __future__ import annotations

from medusa.session.document import document

print(document())
