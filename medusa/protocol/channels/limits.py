"""The limits of what the channels of one stream use: bytes, channels, seconds.

A unit test checks the values, so that nobody changes one by accident.
"""

from __future__ import annotations

MAX_PAYLOAD = 32 * 1024
"""The limit of a frame's payload, in bytes."""

LEAST_PART = 1024
"""The smallest part, in bytes, that is cut from data. If a message or turn has less room, they wait for another."""

TURN = 16 * 1024
"""Bytes that a channel may send in its turn. After that the other channels have their turns."""

MAX_CHANNELS = 768
"""The limit of channels of one stream. It leaves room for 512 forwarded connections and for much else."""

MAX_REFUSED = 1024
"""The limit of channels of one stream that this end has refused, and that the peer has not closed by CLOSE yet."""

OPEN_TIMEOUT = 30.0
"""Seconds. A channel that was not accepted after this time is refused."""

MAX_WINDOWS = 10 * 1024 * 1024
"""The limit of the sum of all windows that one end grants, in bytes."""

MIN_WINDOW = 4 * 1024
"""Bytes that the peer may send on each sub (a direction of a channel) at any time, however little memory is free."""

FIRST_WINDOW = 64 * 1024
"""Bytes that the peer may send at first on a new sub (a direction of a channel), if so much memory is free."""

MAX_QUEUED = 256 * 1024 - 512
"""The most bytes of data that may wait in one channel.

As frames, with a few WINDOW frames beside them, they fill one of the longest messages, or two of half that length. If
the limit were a little larger, each of these messages or pairs would be followed by a tiny one.
"""

MAX_QUEUED_ALONE = 4 * MAX_QUEUED
"""The most bytes of data that may wait in one channel if no data wait in any other channel."""

MAX_WINDOW = 4 * MAX_QUEUED_ALONE
"""The limit of one window, in bytes: a multiple of MAX_QUEUED_ALONE, so that no tiny rest has to be sent.

On a link with a long round trip it is half of this and what LONG_RATE allows in addition, if that is more.
"""

LONG_RATE = 20 * 1024 * 1024
"""Bytes a second. On a long link, windows have room for what arrives in one round trip at this rate, in addition.

So the windows do not limit the rate of a long link, and stay as they are on a short one. What limits it is
MAX_KEPT in resume/stream.py: at a round trip of 100 ms, 31 MB/s.
"""

FIRST_TERMINAL_WINDOW = 128 * 1024
"""The first window of a terminal's output, in bytes. The agent may send as much before the client has taken any.

On a long link it doubles with each round trip. From 32 KiB on, output would take a third of a second longer to get
fast.
"""

MIN_TERMINAL_WINDOW = 16 * 1024
"""The smallest window of a terminal's output, in bytes, however slowly the client takes the output."""

MAX_TERMINAL_WINDOW = 1536 * 1024
"""The largest window of a terminal's output, in bytes, if the round trip is short. See LONG_RATE.

After Control-C, the user may still see as many bytes of output, because they have been sent already, and what waits in
mlogin (MOST_WATER in client/session/screen.py). Only a terminal that takes 16 MB/s and more gets this window. It has
room for three messages of the agent's, so that neither end waits.
"""

TERMINAL_DELAY = 0.1
"""Seconds. A terminal's window is the number of bytes that its reader takes in this time plus two round trips."""

QUEUED_HIGH = 768 * 1024
"""Bytes. If as much data waits in all channels of a stream together, each channel may queue only MIN_QUEUED bytes.

So four channels may queue MAX_QUEUED bytes each.
"""

MIN_QUEUED = 1024
"""Bytes of data that may wait in each channel at any time, however much waits in the others."""

MAX_QUEUED_CONTROL = 256 * 1024
"""The most bytes of control frames (all but data) that may wait to be sent, or to be acknowledged by the peer."""
