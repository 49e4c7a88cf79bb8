"""Writes and reads the entries of this process in the directory, the store that all reflectors share.

asker        asks the directory, and knows whether it answers
claim_lease  the lease that all claims of this process depend on
marks        records which signatures were used, and which sessions have ended
names        claims and releases the names of this process's sessions
pace         says how many claims are checked at a time
renewal      checks the claims of this process, and restores those that the directory has lost
requests     asks the directory to make, renew and free single claims
"""

from __future__ import annotations
