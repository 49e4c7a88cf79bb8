"""Floor 0, the wire: pure and standard library only. No socket, clock, thread or random source in here.

attach_path  the path by which a side attaches to its session
control      the text messages between client, reflector and agent
errors       who broke the rules (the type) and what to answer (close code, HTTP status)
http         HTTP heads, the PROXY header, and signed requests
keepalive    when to ping a silent peer and when it is lost
messages     what a transport hands over; limits with their reasons
printable    network text made safe for logs and terminals
raw          raw TCP: its greeting, its frames, and the relay of both
relay        what the relays of all framings share
session_id   the ids that sessions may have
websocket    RFC 6455: handshake, frames, and the relay of frames
"""
