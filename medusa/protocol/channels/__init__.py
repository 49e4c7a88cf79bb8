"""Many channels over one stream, between client and agent (docs/protocol.md, part 3).

channel      one channel: accepts it, writes to it, sends requests, ends it
frames       the frames: their header, their types, and the JSON in them
kinds        the kinds of channels and of requests: which end may open one, its parameters, its directions of bytes
limits       the limits of bytes, channels and seconds
multiplexer  processes the frames that arrive at one end of a stream, for all its channels
parser       cuts a stream into frames
sending      the frames that wait to be sent, and the order in which they are sent
subs         the two ends of a sub (one direction of bytes in a channel): its bytes, its window, its end
table        all channels of one end: their numbers, and which may be opened
windows      the sizes of the windows (the number of bytes that a peer may send before this end has taken any)
"""
