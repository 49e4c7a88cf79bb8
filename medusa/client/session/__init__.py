"""One session, from the client's attach to the agent's exit.

session_url       the URLs at which its two sides attach
reconnect         dials the reflector, and again after a link was lost
wait_for_agent    from the attach to Linkup
terminal_session  one loop over terminal, link and signals, from `start` to `exit`
user_input        what the user types, on its way to the link
escape            pure scanner for escapes such as `~.`
walltime          notices before the job's time is over
ending            the table of the ways in which a session ends
link_errors       why a link ended, in words
"""
