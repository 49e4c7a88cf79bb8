"""The launcher `ssh`: an agent on a host that the user's own ssh reaches.

connection  one connection of the user's ssh, through which everything goes
launcher    the launcher itself
"""

from __future__ import annotations
