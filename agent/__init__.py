"""The program in the job: it finds its configuration, dials the reflector and gives the client a command on a terminal.

It uses the standard library, ptyprocess and the modules of medusa that travel with it (scripts/agent.manifest). It has
one thread and never uses gevent, because a parent's greenlets would go on running in its forked child.

__main__  the command line
archived  how the archive starts: check the file, import the modules from memory
config    find, read and delete the session's configuration
dial      dial the reflector, again and again for a while
log       one line for each event, on stderr
poller    a poll set
signals   the signals that ask the agent to stop
timeouts  all times in one record
session   one session: link and terminal joined
wrap      run a step of the job, and offer a session if it fails
"""
