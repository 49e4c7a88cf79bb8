"""What a peer may announce when it attaches: that it understands more than part 1 of docs/protocol.md."""

from __future__ import annotations

HEADER = "Medusa-Features"
"""The header field of the request that lists the features, separated by commas. Raw TCP has a word in the greeting."""

NOTICE = "notice"
"""The feature of a client that shows the reflector's notices at any time, also while it waits for its agent."""
