"""Forwards connections through the channels of a stream (docs/protocol.md, part 3). Client and agent use it.

connections  serves all connections of one stream in one loop
connection   passes the bytes of one connection between its socket and its channel
dialling     connects to a target, or says why not
listening    listens on an address or a path
lookups      looks up names, one helper process for each name
refusal      the exception that says why something is not forwarded
"""
