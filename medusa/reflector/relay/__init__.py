"""How the bytes of a linked pair move.

byte_pipe        one direction of a byte proxy as a step function, without an event loop
byte_link        a proxy of bytes: two pipes between two streams, by watchers
endpoint         one side's connection on the event loop: watchers, backpressure
endpoint_states  the life of that connection as a table, with half-close
fair_queue       turns for busy connections, and the buffer that all read into
pump             one direction of copying between two transports, one step at a time
"""

from __future__ import annotations
