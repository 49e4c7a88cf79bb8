"""The sessions that live in this process.

claims           the names that this process holds in the directory: taken, renewed, freed
deadlines        what is due in one session, and when to ask again
driver           one session: its inputs, its actions, the greenlet of its linked pair
limits           how many may connect, and wait
plain_client     what the reflector says to an agent in place of a client without frames
registry         all sessions by name: open, join, forget
time_limits      how long a linked session may be idle, and last
usage            the log records of a session's start and end
"""

from __future__ import annotations
