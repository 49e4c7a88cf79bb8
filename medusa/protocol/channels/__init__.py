"""Many channels over one stream, between client and agent (docs/protocol.md, part 3).

channel      one channel: opens it, writes to it, sends requests, ends it
frames       the frames: their header, their types, and the JSON in them
kinds        the kinds of channels and of requests: who may open one, its parameters, its subs (directions of bytes)
limits       the numbers that bound memory and time
multiplexer  all channels of one end of a stream: opens them, and processes the frames that arrive
outbox       the frames that wait to be sent, and the order in which they are sent
parser       cuts a stream into frames
subs         the two ends of a sub (one direction of bytes in a channel): its bytes, its window, its end
windows      the sizes of the windows (what the peer may send before this end has taken it)
"""
