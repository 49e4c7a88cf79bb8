"""What operators do from outside: not a part of mlogin.

session_admin  asks a reflector for its sessions, and ends one
publish        puts the agent's archive where jobs find it
"""
