"""Writes and reads the entries of this process in the directory, the store that all reflectors share.

asker  asks the directory, and knows whether it answers
marks  records which signatures were used, and which sessions have ended
names  claims the names of this process's sessions, renews and releases them
"""

from __future__ import annotations
