"""Finds sessions: at a reflector by HTTP, and on this machine.

api      sends one request, and reads the JSON of its answer
finding  finds the session whose id begins with a text
joining  finds the session that a user joins, by its id, the beginning of its id, or its name
ending   ends one of the user's own sessions
meaning  decides which session a text means: an id, the beginning of one, or a name
local    the sessions on this machine for which this user's mlogin runs its own reflector
"""
