"""The program mlogin: opens a terminal in a batch job, through a server (the reflector).

mlogin              runs mlogin: starts reflector and job, attaches, runs the session, returns the exit status
choice              finds the session and the account that the options name
login               the steps of one run of mlogin: requests, texts, the wait for the agent, the session
embedded_reflector  runs a reflector on loopback that belongs to this mlogin
operator            commands for operators; not a part of mlogin
pipes               runs a session on three pipes, byte for byte
aio                 runs programs made of coroutines on the channels of a session
ssh                 SSH's server side, for `medusa ssh-proxy`
session             runs one session: attaches, waits for the agent, passes the bytes
files               copies files to and from a session's job
streams             the client's end of a stream: a connection to the agent that can outlive its link
forwarding          forwards connections between this machine and the job
places              reads to which places connections are to be forwarded
queries             asks a reflector for its sessions
launchers           starts jobs: one module or package for each job system
archive             finds and writes the archive (the program file) of the agent
terminal            the user's side: standard input, output and error, and signals
ledger              records what the guard process must undo if mlogin is killed
cleanup             code by which the guard process undoes what the ledger records
processes           helpers for child processes: directory trees, process groups, ends of logs
keys                the user's account, and the private keys that sign its requests
settings            the record of all options of the user
timeouts            the record of all timeouts and intervals
outcome             exit statuses, and the exceptions that have them
"""
