"""Forwards connections between the client and the job's network (docs/protocol.md, part 3).

forwards    all that is forwarded in one stream: what the client asks for, and what may be open at once
connection  passes the bytes of one connection between its socket and its channel
dialling    connects to a target, or says why not
listening   listens on an address or a path, for one channel of the client
lookups     looks up names, one helper process for each name
refusal     the exception that says why something is not forwarded
"""
