"""One end of a conversation between client and agent over a stream (docs/protocol.md, part 3).

end    a stream and its channels, as one object
"""
