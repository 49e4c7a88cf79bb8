"""Handles the requests of administrators, and of users about their own sessions. Publishes the agent's archive.

handlers      handles requests of administrators: metrics, a list of all users' sessions, ending a session
own_sessions  handles requests of users: for the list of their own sessions, and to end one of them
ending        ends a session for somebody who has asked for it
lists         lists of sessions, and the end of one
readiness     finds out whether new sessions can begin here
exposition    writes metrics as a text, and adds up those of several processes
publisher     publishes the agent's archive while the reflector runs
"""

from __future__ import annotations
