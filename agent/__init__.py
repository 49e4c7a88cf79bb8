"""The program in the job: finds its configuration, dials out, and gives the client a shell on a pseudo-terminal.

Standard library, ptyprocess and the travelling part of medusa only. One thread, one loop that never blocks; no gevent,
because a parent's greenlets go on running in its forked child.

config     find, read and delete the session's configuration
dial       reach the reflector, with patience
command    what to run: defaults, environment, what a missing program is replaced by
ptychild   a child on a pseudo-terminal: spawn, resize, reap
family     every process of the child's session, and their end
runner     one session: link and terminal joined
wakeup     signals as readable bytes
log        one line an event, on stderr
wrap       a step of the job's own, and a session if it fails
step       run the command: signals, status
passage    its output, passed on
tail       the last of its output
meeting    where a failed step and its user meet
hold       waiting for the user
archived   the archive's entry: check the file, import from memory
"""
