"""Floor 3, the server. The only place with gevent.

config     what can be set, checked
server     the parts put together: start, drain, stop
wsgi       one request on one connection: strict head, upgrade, hand-over of the socket
upgrade    gevent-websocket's handler, made tolerant of Manta's clients
routes     path -> function
registry   the sessions that live here, and who may attach
live       one session: its greenlet, its deadlines, the machine's actions carried out
splicer    the way of the bytes: event watchers around transports
usage      the start line and the usage record of a session
"""
