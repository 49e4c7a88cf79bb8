"""mlogin: a terminal in a job, through a reflector.

mlogin      the flow: reflector, link, job, session, exit status
waiting     from the attach to the linkup
interactive the session itself: one loop over terminal, link and signals
link        a transport with its keepalive
escape      pure scanner for `~.` and its kin
terminal    raw mode and window size, always restored
outlet      standard output that never blocks the loop
advice      what is said on stderr
signals     signals as readable events
ledger      what the guard process must undo if mlogin is killed
processes   private directories, process groups, tails of logs
embedded    a reflector of our own on loopback
archive     the agent archive this installation carries
launchers/  one file per job system
outcome     exit statuses and the errors that carry them
"""
