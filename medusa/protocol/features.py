"""The features that a peer may announce when it attaches: what it understands beyond part 1 of docs/protocol.md."""

from __future__ import annotations

HEADER = "Medusa-Features"
"""The header field of an attach request that lists the features, separated by commas.

On raw TCP, the word `features=` in the greeting lists them instead.
"""

NOTICE = "notice"
"""The feature of a client that shows the reflector's notices at any time, also while it waits for its agent."""
