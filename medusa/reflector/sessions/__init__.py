"""The sessions that live in this process.

claims           claims the names of these sessions in the directory, renews and releases them
deadlines        decides what is due in one session, and when to check again
driver           runs one session: processes events, and carries out the actions that follow
held             remembers which agents wait for a session that does not exist yet
limits           limits how many peers may connect, and how many clients may wait
plain_client     answers an agent in place of a client that uses raw TCP without frames
registry         all sessions by name: opens, joins and forgets them
time_limits      limits how long a linked session may be idle, may last, and may go on while the reflector stops
usage            logs a session's start, and a usage record when it has ended
"""

from __future__ import annotations
