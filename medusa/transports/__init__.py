"""Floor 2, links: whole messages both ways over anything like a socket. No gevent in here.

base           one link: a stream and a codec joined, with backpressure
interfaces     what a link is made of
socket_stream  a socket that never blocks
tls            TLS: what a client trusts, the handshake, and a stream through it
dial           a connected socket to where a URL points: TCP, proxy, TLS
link           a transport with its keepalive and backpressure, for a loop that polls
connect        the client's end of a link to a URL
adopt          the reflector's end of a link whose handshake is done
relayed        what a reflector adds to a link: frames move to another link
"""
