"""The numbers that bound what the channels of one stream use: bytes, channels, seconds. A test pins them."""

from __future__ import annotations

MAX_PAYLOAD = 32 * 1024
"""The limit of a frame's payload, in bytes."""

LEAST_PART = 1024
"""Bytes. Data are not cut into a smaller frame only because a message or a turn ends."""

TURN = 16 * 1024
"""Bytes. A channel that has sent as many waits for the others."""

MAX_CHANNELS = 256
"""The limit of channels of one stream."""

MAX_REFUSED = 1024
"""The limit of refused channels whose CLOSE has not come."""

OPEN_TIMEOUT = 30.0
"""Seconds. A channel that was not accepted after this time is refused."""

MAX_WINDOWS = 3 * 1024 * 1024
"""The limit of the sum of all windows that one end grants, in bytes."""

MIN_WINDOW = 8 * 1024
"""Bytes that each sub can be granted at any time."""

FIRST_WINDOW = 64 * 1024
"""Bytes that a new sub is granted, if they are free."""

MAX_WINDOW = 1024 * 1024
"""The limit of one window, in bytes."""

FIRST_TERMINAL_WINDOW = 32 * 1024
"""Bytes that a terminal's output is granted at first."""

MIN_TERMINAL_WINDOW = 16 * 1024
"""Bytes that a terminal's output is granted, however slowly they are taken."""

MAX_TERMINAL_WINDOW = 256 * 1024
"""The limit of the window of a terminal's output, in bytes: as many the user may see after Control-C."""

TERMINAL_DELAY = 0.1
"""Seconds. A terminal's window is what its reader takes in this time plus one round trip."""

MAX_QUEUED = 64 * 1024 - 50
"""The limit of the data of one channel that wait for the stream, in bytes: what one message holds, in two frames.

If they were more, each full message would be followed by a tiny one.
"""

QUEUED_HIGH = 256 * 1024
"""Bytes. While the data of all channels that wait for the stream are more, a channel may queue MIN_QUEUED only."""

MIN_QUEUED = 1024
"""Bytes of data that each channel may queue at any time."""

MAX_QUEUED_CONTROL = 256 * 1024
"""The limit of the frames that are not data and that the peer does not take or not acknowledge, in bytes."""
