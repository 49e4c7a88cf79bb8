"""Forwards connections between this machine and the job, for the options -L, -R and -D (docs/protocol.md, part 3).

forwarder  all that is forwarded in one session; a session's loop calls it
outgoing   connections that programs here make to the job
incoming   connections that programs in the job make to this machine
listeners  listens on this machine
handshake  reads a SOCKS request from a socket or a channel
report     tells the user what is forwarded, and what could not be
"""
