"""The agent's side of a session, as the user's terminal sees it: input goes there, output and the end come from it.

base   the interface
plain  a terminal that is the whole conversation with the agent, as in parts 1 and 2 of docs/protocol.md
"""
