"""Decides what a peer may do, and checks signatures.

access         decides which resources a peer may use, from one table
authenticator  checks that a request is signed by the account that its path names
signed_claim   reads what a request claims to be signed by, before the signature is verified
denials        the refusals of such requests, which do not tell strangers what exists
accounts       reads the public keys of the accounts from files
strict_modes   finds out whether another user of this host could replace a file
single_use     makes sure that each signature lets in at most one peer, even if several reflectors get it
replay_cache   remembers which signatures were used in this process, so no signature is used twice
"""

from __future__ import annotations
