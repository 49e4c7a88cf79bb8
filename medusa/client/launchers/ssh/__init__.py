"""The launcher `ssh`: runs the agent on a host that the user's `ssh` command reaches.

connection  the one ssh connection to the host, which all commands use
launcher    the class SshLauncher
"""

from __future__ import annotations
