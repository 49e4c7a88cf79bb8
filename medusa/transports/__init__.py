"""Transports: a transport sends and receives whole messages over one connection. This package does not use gevent.

base           the transport: joins a stream and a codec, and tells the caller when to wait before it sends more
interfaces     the interfaces of the parts of a transport, for type checkers
socket_stream  a stream over a socket, without encryption
bulk_reader    reads the bytes of a pipe or socket that are sent in a channel
steps          work that has to wait, in steps: blocks until it is done, or serves others meanwhile
helper         calls functions that may block for long in a helper process
tls            TLS: the certificates that a client trusts, the handshake, and a stream over it
dial           opens a connected socket to the host of a URL: address, TCP, proxy, TLS
link           a transport with a keepalive, for loops that poll (mlogin and the agent)
connect        opens a transport to a URL, at the client's end
adopt          makes a transport of an accepted socket, at the reflector's end
forwarding     forwards connections through the channels of a stream
relayed        a transport that can also forward frames to another one, for the reflector
"""
