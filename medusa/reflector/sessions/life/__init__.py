"""Runs one session from its start to its end.

session     one session: its pairs, one for each client
holding     what a session adds if its agent holds it: the home link, and how the clients wait for the agent
home        the home link: the control connection of an agent that holds the session
home_owner  what the home link needs of the session
keeping     why a session is kept while it has no client or no agent, and until when
figures     what lists and metrics show of one session
totals      sums over the pairs of one session that have ended
"""

from __future__ import annotations
