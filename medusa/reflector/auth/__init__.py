"""Decides what a peer may do, and checks signatures.

access         decides which resources a peer may use, from one table
authenticator  checks that a request is signed by the login that its path names
accounts       reads the public keys of the logins from files
strict_modes   finds out whether another user could replace a file
single_use     makes sure that each signature lets in one peer at most, at all reflectors
replay_cache   remembers the signatures that were used, so that none is used twice
"""

from __future__ import annotations
