"""Sockets, without policy.

listen          sockets that listen, and the options of the sockets they accept
accept          the accept loop, which pauses while descriptors or memory are short
accepted        one accepted connection: the record that all other parts pass on
client_address  which host a connection comes from: the peer, or the client that a trusted proxy names
proxy_protocol  the first bytes of a connection, with the PROXY header ahead of them
certificate     the reflector's certificate and key, read again on SIGHUP
sockets         address, hang-up, and a socket without gevent
fd_limit        how many pairs the limit of open files allows
http_response   status, header fields and body
"""

from __future__ import annotations
