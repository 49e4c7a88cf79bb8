"""Moves the bytes of a linked pair (the connection of a client and the connection of its agent).

budget        counts the memory that peers make this process hold, and limits it
byte_pipe     copies the bytes of one direction of a byte proxy, step by step, without an event loop
byte_link     a byte proxy on the event loop: two byte pipes between two streams
endpoint      the connection of one side on the event loop: watchers, backpressure, half-close
owner_answer  reads how another worker or reflector answers a peer, and passes a refusal on to the peer
fair_queue    gives turns to busy connections, and holds the buffer that all connections read into
pump          copies in one direction between two transports, one step at a time
"""

from __future__ import annotations
