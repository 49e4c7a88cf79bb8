"""Commands for the operators of a reflector or a Manta. They are not a part of mlogin.

session_admin  lists the sessions of a reflector, and ends one
publish        puts the agent's archive where jobs find it
"""
