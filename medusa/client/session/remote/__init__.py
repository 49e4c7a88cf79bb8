"""The agent's side of a session, as the user's terminal sees it: input goes there, output and the end come from it.

base      the interface
offered   an agent that has not answered the offer of a stream yet; then one of these two takes its place:
streamed  a terminal that is one channel of a stream (part 3 of docs/protocol.md)
attached  a terminal that runs in the agent already
needed    an agent that has not answered yet whether it accepts a stream, without which mlogin cannot go on
plain     a terminal that is the whole conversation with the agent (parts 1 and 2)
"""
