"""Floor 0, the wire: pure and standard library only. No socket, clock, thread or random source in here.

errors     who is to blame (the type) and what to answer (close code, HTTP status)
attach_path  the path by which a side attaches to its session
messages   what a transport hands over; limits with their reasons
control    the text messages between client, reflector and agent, one table
masking    XOR of a payload with its masking key
websocket  RFC 6455 frames: the header rules, the message face (client, agent)
relay      the relay face (reflector): bytes of one link in, bytes of another out
framing    frames of raw TCP: the header rules, the message face
raw        the relay faces of raw TCP, with frames and without
greeting   the first lines of raw TCP
head       HTTP heads, read strictly
handshake  the websocket upgrade, both ends
keepalive  when to ping a silent peer and when to give it up
printable  network text made safe for logs and terminals
"""
