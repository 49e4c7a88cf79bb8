"""Floor 3, the server. The only place with gevent.

config       what can be set, checked
server       the parts put together: start, drain, stop
listening    sockets that listen
descriptors  how many pairs the limit of open files allows
wsgi         one request on one connection: strict head, upgrade, hand-over of the socket
upgrade      gevent-websocket's handler, made tolerant of Manta's clients
routes       path -> function
registry     the sessions that live here, and who may attach
live         one session: its greenlet, its deadlines, the machine's actions carried out
splicer      the way of the bytes: event watchers around transports
usage        the start line and the usage record of a session

Where there are several workers:

supervisor   starts them, starts them again, passes on what it is told; no gevent
worker       one of them as the supervisor sees it: a process, its orders, its reports
task         what passes between the two
backoff      when to start one again
placement    which worker a session belongs to
letters      what a worker writes to another beside a descriptor
mailbox      how that gets there
colleagues   the other workers, as one of them sees them
unwatch      what the event loop forgets of a connection that was given away
bridge       TLS for a session that lives in another worker
"""
