"""Accepts peers by HTTP and by raw TCP. A front is the server for one of these protocols.

http_front     accepts HTTP: reads the request's head strictly, answers or upgrades the connection
raw_front      accepts raw TCP: reads a greeting, then makes a link with frames or plain bytes
upgrade        sends answers; a subclass of gevent-websocket's handler makes the 101
tls_handshake  performs a TLS handshake on a connection of which the first bytes have been read
request_head   reads the head of a request, strictly and with a time limit
routes         finds the function for the path of an HTTP request
admission      decides whether a peer may attach to a session, and attaches the peer
doorkeeper     drops connections while too many peers have not identified themselves
startups       counts the connections of such peers, in all and by their sources
refusal_log    limits the number of log lines about peers that are refused
"""

from __future__ import annotations
