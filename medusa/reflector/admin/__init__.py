"""What the reflector offers to administrators.

handlers      handles their requests: metrics, a list of all users' sessions, ending a session
own_sessions  handles the requests of users about their own sessions: for the list of them, and to end one
ending        ends a session for somebody who has asked for it
session_list  lists and ends the sessions of this process, of other workers and of other reflectors
readiness     finds out whether new sessions can begin here
aggregate     adds up the metrics of several processes
publisher     publishes the agent's archive while the reflector runs
"""

from __future__ import annotations
