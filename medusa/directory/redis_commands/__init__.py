"""What the directory sends to Redis.

scan     goes through all keys with a prefix, a part at a time
scripts  the scripts that Redis runs
"""

from __future__ import annotations
