"""Decides whether a peer may attach to a session, and attaches the peer.

admission  checks what a peer has signed, forwards it if its session lives elsewhere, and attaches it
by_ticket  admits peers by their tickets, and gives tickets to the peers that are admitted
"""

from __future__ import annotations
