"""Tickets: what a peer shows to come back to its session, after its link or its reflector is gone.

desk     gives tickets to peers, checks those that come back, and knows which sessions are over
ended    the sessions that have ended: marks that outlive the sessions, and that tickets are compared with
key      the key of the tickets' MACs: derived from the site's secret, kept in --state-dir, or of this process only
ticket   the form of a ticket: builds and reads it; no I/O
"""

from __future__ import annotations
