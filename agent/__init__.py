"""The agent, a program in the job: dials the reflector (a server that clients use too), and runs commands for clients.

It uses the standard library, ptyprocess and the modules of medusa that travel with it (scripts/agent.manifest). It has
one thread. It never uses gevent, because after a fork, the parent's greenlets would go on running in the child.

__main__   the command line
archived   starts the archive: checks its file, and imports the modules from memory
config     the configuration of the agent: finds it, reads it, deletes its copy in the object store
dial       dials the reflector
about      describes the agent's machine and job, for lists of sessions
link_ends  decides what the end of a link means
log        writes one line for each event to stderr
poller     polls a set of descriptors
signals    handles the signals that ask the agent to stop
timeouts   all timeouts and intervals, in one record
session    one session: its links, in one loop
sftp       an SFTP server, for nodes that have none
streams    a stream on a link: many channels, each with a command
terminals  the terminals, which may outlive their clients
process    commands as processes: starts them, passes their input and output, and ends them
command    decides which command to start
wrap       runs a step of the job, and offers a session if the step fails
"""
