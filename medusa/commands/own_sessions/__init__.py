"""The commands about the user's own sessions, which run already. This file imports nothing.

attach   `medusa attach`: attaches to a terminal of a session
copy     `medusa cp`: copies files to and from the job of a session
execute  `medusa exec`: runs a command in the job of a session
forward  `medusa forward`: forwards connections to and from the job of a session
kill     `medusa kill`: ends a session
listing  `medusa ls`: lists the sessions
asking   makes the client of the reflector that the options name
options  the options that all these commands share: which reflector, account and key
"""
