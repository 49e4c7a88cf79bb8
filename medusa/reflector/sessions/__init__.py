"""The sessions that live in this process.

held      remembers which agents wait for a session that does not exist yet
limits    limits how many peers may connect, and how many clients may wait
opening   opens sessions, and lets peers into those that live
owners    asks the directory which reflectors own which sessions
registry  all sessions by name: opens and forgets them, adds agents and further clients
stepping  runs a state machine on the event loop

claims    the entries of this process in the directory: for names of sessions, and for signatures
life      one session: a pair for each client, and the home link of an agent that holds it
pair      what runs one pair: a client, and the agent that it waits for
"""

from __future__ import annotations
