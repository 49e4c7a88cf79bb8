"""Opens, accepts and closes connections. Another package decides what a peer may do.

listen          opens listening sockets, and sets the options of the sockets that they accept
accept          the accept loop, which pauses while file descriptors or memory are short
accepted        the record of one accepted connection, with all that is known about its peer
client_address  finds which host a connection comes from: the peer, or the client that a trusted proxy names
proxy_protocol  reads the first bytes of a connection, and the PROXY header that may precede them
certificate     loads the reflector's certificate and key, and reloads them on SIGHUP
buffers         decides how many bytes the kernel may buffer for a link
sockets         functions for sockets: addresses, watchers, hang-up, sockets without gevent
fd_limit        increases the limit of open files, and computes how many linked sessions it allows
http_response   the type of an HTTP response: status, header fields and body
"""

from __future__ import annotations
