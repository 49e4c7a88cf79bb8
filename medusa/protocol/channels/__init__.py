"""Many channels over one stream, between client and agent (docs/protocol.md, part 3).

channel      one channel: accepts it, writes to it, sends requests, ends it
frames       the frames: their header, their types, and the JSON in them
kinds        the kinds of channels and of requests: which end may open one, its parameters, its directions of bytes
limits       the limits of bytes, channels and seconds
multiplexer  all channels of one end of a stream: opens them, and processes the frames that arrive
outbox       the frames that wait to be sent, and the order in which they are sent
parser       cuts a stream into frames
subs         the two ends of a sub (one direction of bytes in a channel): its bytes, its window, its end
windows      the sizes of the windows (the number of bytes that a peer may send before this end has taken any)
"""
