"""Manages the sessions that live in this process.

held      remembers which agents wait for a session that does not exist yet
limits    limits how many peers may connect, and how many clients may wait
opening   opens sessions, and lets peers into sessions that exist
owners    asks the directory which reflectors own which sessions
registry  all sessions by name: opens and forgets them, adds agents and further clients
stepping  runs a state machine on the event loop

claims    the entries of this process in the directory: for names of sessions, and for signatures
life      one session: a pair for each client, and the control connection of an agent that keeps the session alive
pair      runs one pair: a client, and the agent that it waits for
"""

from __future__ import annotations
