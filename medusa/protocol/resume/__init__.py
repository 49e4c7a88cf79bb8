"""A byte stream in each direction between client and agent, which survives the loss of its link.

A link is a connection through the reflector. After a loss, the stream goes on over a new link. See docs/protocol.md,
part 3.

budget       counts bytes against a limit
byte_queue   a queue of bytes that copies only small pieces
offer        the client's offer of a stream, and its check
records      the records in a message: a DATA record, and an acknowledgement
round_trip   the shortest round trip (time from here to the peer and back) of the last seconds
stream       one end of a stream: offsets, acknowledgements, and the bytes that may have to be sent again
"""
