"""The commands about the user's own sessions, which run already. This file imports nothing.

execute  `medusa exec`: runs a command in the job of a session
listing  `medusa ls`: lists the sessions
options  the options that both share: which reflector, account and key
"""
