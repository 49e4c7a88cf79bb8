"""mlogin: a terminal in a job, through a reflector.

mlogin              the flow: reflector, job, link, session, exit status
embedded_reflector  a reflector of mlogin's own on loopback
operator            commands for operators; not a part of mlogin
session             one session: attach, wait, converse
launchers           one module or package for each job system
archive             the agent's archive that this installation carries
terminal            the user's side: descriptors 0 to 2 and signals
ledger              what the guard process must undo if mlogin is killed
cleanup             how the guard undoes it
processes           child processes: trees, groups, tails of logs
keys                an account and its private key
settings            what the user asks, in one record
timeouts            every time of mlogin, in one record
outcome             exit statuses, and the errors that carry them
"""
