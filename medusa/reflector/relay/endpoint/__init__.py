"""One side's connection in a pair: of the client, or of the agent.

endpoint  the connection as the session's driver uses it, and the actions of the table
watched   moves the bytes: watchers on the event loop, turns, backpressure
status    what can be read of a connection: its state, and what the kernel knows of its peer
states    the table of the states, with half-close
"""

from __future__ import annotations
