"""Websockets (RFC 6455).

_fastrelay  the relay's inner loop in C; optional
codec       frames: the header rules and whole messages
handshake   the upgrade, both ends
masking     XOR of a payload with its key
relay       the reflector's side: frames moved from link to link
"""
