"""The websocket protocol (RFC 6455).

_fastrelay   the inner loop of the relay in C; optional
codec        converts between messages and frames
fragments    puts the fragments of a message together
handshake    the upgrade from HTTP, for client and server
header       the header of a frame, and the payload of a close frame
masking      applies a masking key to a payload
relay        the reflector's relay, which forwards frames from one link to another
relay_state  the state of a relay between two pieces of its input
"""
