"""The agent's side of a session, as the user's terminal sees it: input goes there, output and the end come from it.

base      the interface
offered   an agent that has not answered the offer of a stream yet; then one of these two takes its place:
streamed  a terminal that is one channel of a stream (part 3 of docs/protocol.md)
plain     a terminal that is the whole conversation with the agent (parts 1 and 2)
"""
