"""A session of the agent: its links, which are served in one loop, and what is spoken on each of them.

loop      the loop that serves links, signals and processes
leg       one link: reads it, finds out what the client speaks, closes it
terminal  the speaker of parts 1 and 2 of docs/protocol.md: one command on a terminal
phases    the table of this speaker: for each phase and input, the next phase and the actions
"""
