"""Floor 2, links: whole messages both ways over anything socket-like. No gevent in here.

base       the interface and its engine: a stream and a codec joined, backpressure, who may call when
interfaces what a transport is made of
stream     a socket as a non-blocking stream
tls        the same through TLS, and the handshake before it
dial       a connected socket: TCP, proxies, TLS
websocket  RFC 6455 over a stream: connect (client, agent) and adopt (reflector)
tcp        raw TCP with frames: connect and adopt
plain      raw TCP without frames: the reflector's end
schemes    connect, by a URL's scheme
relayed    the relay face
memory     a pair of transports in memory, with a clogged mode
"""
