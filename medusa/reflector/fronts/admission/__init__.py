"""Decides whether a peer may attach to a session, and attaches the peer.

admission  counts requests to attach, and checks what a peer has signed
entrance   attaches a peer after the checks, or forwards it if its session lives elsewhere
by_ticket  admits peers by their tickets, and gives tickets to the peers that are admitted
"""

from __future__ import annotations
