"""Makes and checks tickets. With a ticket, a peer comes back to its session after its link or its reflector is gone.

desk     gives tickets to peers, checks those that come back, and knows which sessions are over
ended    remembers which sessions have ended, so that their tickets are refused
key      the key of the tickets' MACs: derived from a secret of all reflectors, kept in --state-dir, or random
ticket   the form of a ticket: builds and reads it; no I/O
"""

from __future__ import annotations
