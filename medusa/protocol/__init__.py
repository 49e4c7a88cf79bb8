"""Implements the wire protocols: parses and builds bytes, without sockets, clocks, threads or random numbers.

attach_path  builds and parses the URL path by which a client or an agent attaches to its session
channels     many channels over one stream: frames, windows, ends of streams, limits
control      the control messages (text) between client, reflector and agent
errors       the errors: the type says which side broke the rules, the attributes say what to answer
features     the features that a peer may announce when it attaches
http         HTTP heads, the PROXY protocol's header, and signed requests
keepalive    decides when to ping a silent peer, and when the peer counts as lost
messages     the message types that every transport delivers, and the size limits
printable    makes text from the network safe for logs and terminals
raw          raw TCP: its greeting, its frames, and its relays
record       classes that are made of fields, as by dataclasses, but in less time
relay        the code that the relays of all framings share
resume       a byte stream that survives the loss of its connection, because unacknowledged bytes are sent again
session_id   parses and checks session ids
sftp         files: the packets of SFTP version 3
streams      one end of a stream with its channels
terminal     what the client tells the agent about its terminal: modes and variables
websocket    RFC 6455: the handshake, the frames, and the relay of frames

Uses only the standard library. One exception is optional: the C routine in websocket/masking.py.
"""
