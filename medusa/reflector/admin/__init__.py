"""For administrators.

handlers      the routes: metrics, the sessions of all users, the end of a session
session_list  the sessions of this process, of the other workers and of the other reflectors
aggregate     the metrics of several processes as those of one
publisher     publishes the agent's archive while the reflector runs
"""

from __future__ import annotations
