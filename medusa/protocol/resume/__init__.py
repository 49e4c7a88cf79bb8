"""One byte stream in each direction between client and agent, which outlives its link (docs/protocol.md, part 3).

budget       counts bytes against a limit
byte_queue   a queue of bytes that copies only what is small
offer        the offer of a stream in `start`, and its check
records      the records in a message: a DATA record, and an acknowledgement
round_trip   the least round trip (time from here to the peer and back) of the last seconds
stream       one end of a stream: offsets, acknowledgements, and the bytes that may have to be sent again
"""
