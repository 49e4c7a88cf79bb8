"""Serves streams. A stream has many channels on one link of the agent (docs/protocol.md, part 3).

registry         all streams of the agent, by their ids; keeps those that have lost their links
speaker          the agent's end of a stream: its link, what arrives, what waits to be sent, its end
channels         the channels of a stream: starts what the client asks for, and serves it
opening          starts the command of a channel, or says why not
forwards         all that is forwarded in one stream: what the client asks for, and what may be open at once
session_channel  connects a channel of the kind `session` with a command
shared           what all streams of an agent share: memory, the terminals, and the lookups of names
"""
