"""The client's end of a stream, which carries the channels of client and agent (docs/protocol.md, part 3).

conversation  joins a link and a stream: the offer in `start`, the agent's answer, and then messages in both directions
"""
