"""The websocket protocol (RFC 6455).

_fastrelay  the inner loop of the relay in C; optional
codec       the frames: their header, and the conversion between messages and bytes
handshake   the upgrade from HTTP, for client and server
masking     applies a masking key to a payload
relay       the reflector's relay, which forwards frames from one link to another
"""
