"""The program in the job: it finds its configuration, dials the reflector and gives the client a command on a terminal.

It uses the standard library, ptyprocess and the modules of medusa that travel with it (scripts/agent.manifest). It has
one thread. It never uses gevent, because after a fork, the parent's greenlets would go on running in the child.

__main__   the command line
archived   starts the archive: checks its file, and imports the modules from memory
config     finds, reads and deletes the session's configuration
dial       dials the reflector
about      what the agent says about itself for lists of sessions
link_ends  what the end of a link means
log        writes one line for each event to stderr
poller     a set of descriptors to poll
signals    the signals that ask the agent to stop
timeouts   all timeouts and intervals, in one record
session    one session: its links, in one loop
streams    a stream on a link: many channels, each with a command
terminals  the terminals, which may outlive their clients
process    commands as processes: starts them, passes their input and output, and ends them
command    decides what to start
wrap       runs a step of the job, and offers a session if the step fails
"""
