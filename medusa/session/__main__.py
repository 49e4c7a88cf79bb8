"""Prints the text about the life of a session that stands in docs/protocol.md."""

from __future__ import annotations

from medusa.session.document import document

print(document())
