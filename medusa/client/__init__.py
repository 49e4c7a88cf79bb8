"""mlogin: a terminal in a job, through a reflector.

mlogin      the flow: reflector, link, job, session, exit status
door        where the two sides of a session dial in, signed or not
attach      the user's side dials in, and again where a queue is longer than a link lives
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
signer      an account and its private key; keyfile, sshagent: where keys lie
manta       Manta's HTTP API (manta_http: one request); mantajob: an interactive job by it
signedrequest  a request signed in advance, for the guard
launchers/  one file per job system
outcome     exit statuses and the errors that carry them
"""
