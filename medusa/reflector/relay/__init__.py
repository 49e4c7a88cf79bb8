"""Moves the bytes of a linked pair: between the connections of a client and its agent.

budget           counts the memory that peers make this process hold, and limits it
byte_pipe        one direction of a byte proxy as a step function, without an event loop
byte_link        a byte proxy on the event loop: two byte pipes between two streams
endpoint         the connection of one side on the event loop: watchers, backpressure
endpoint_states  the life of that connection as a table of states, with half-close
owner_answer     reads the answer of another worker or reflector to a peer, and passes a refusal on
fair_queue       gives turns to busy connections, and holds the buffer that all connections read into
pump             copies in one direction between two transports, one step at a time
"""

from __future__ import annotations
