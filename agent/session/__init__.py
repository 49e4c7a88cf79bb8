"""Runs a session of the agent: serves its links in one loop, and a command on a terminal over one link.

loop       the loop that serves links, signals and processes
home       the home link, by which the reflector calls the agent; it is dialled again if it is lost
hold_time  how long the session of a failed step of the job waits for users
keeping    tells the reflector what the session is kept for
leg        one link: reads it, finds out which protocol the client uses, closes it
terminal   the protocol of parts 1 and 2 of docs/protocol.md: one command on a terminal. Part 3 is in agent/streams
phases     the table of this protocol: for each phase and input, the next phase and the actions
"""
