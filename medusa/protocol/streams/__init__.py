"""One end of a stream between client and agent, with the channels on it (docs/protocol.md, part 3).

end    a stream and its channels, as one object
"""
