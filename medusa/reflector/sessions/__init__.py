"""The sessions that live in this process.

held      remembers which agents wait for a session that does not exist yet
limits    limits how many peers may connect, and how many clients may wait
registry  all sessions by name: opens and forgets them, adds agents and further clients
session   one session: the pair that opened it, and a further one for each client that has joined it
totals    sums over those pairs of one session that are over

claims    the entries of this process in the directory: for names of sessions, and for signatures
pair      what runs one pair: a client, and the agent that it waits for
"""

from __future__ import annotations
