"""The agent's side of a session: takes input for the command, returns its output, and finds its end.

base      the interface of all these classes
offered   an agent that has not said yet whether it accepts a stream; `streamed` or `plain` takes its place then
streamed  a terminal that is one channel of a stream (part 3 of docs/protocol.md)
attached  such a terminal, if it runs in the agent already
needed    an agent that has not said yet whether it accepts a stream, if mlogin cannot go on without one
plain     a terminal without a stream (parts 1 and 2 of docs/protocol.md)
"""
