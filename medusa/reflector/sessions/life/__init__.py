"""The life of one session.

session  one session: its pairs, of which each client has one
holding  the part of it that its agent holds: the home link, and how the clients wait for the agent
home     the home link: carries out the table in medusa/session/holding.py
figures  the part of it that only tells about it, for lists and metrics
totals   sums over those pairs of one session that are over
"""

from __future__ import annotations
