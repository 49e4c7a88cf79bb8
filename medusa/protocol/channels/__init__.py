"""Many channels over one stream, between client and agent (docs/protocol.md, part 3).

channel      one channel, as its user sees it: opening, writing, requests, the end
frames       the frames: their header, their types, and the JSON in them
kinds        the kinds of channels and of requests: who may open one, its parameters, its subs
limits       the numbers that bound memory and time
multiplexer  all channels of one end of a stream: what arrives, and what is opened
outbox       what waits to be sent: the order of the frames, and the channels' turns
parser       cuts a stream into frames
subs         the two ends of a sub: what is sent and what arrives, its window, count and digest
windows      how large a window is, and what all windows of a stream use
"""
