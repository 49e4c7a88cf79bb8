"""Runs one session in mlogin, from the time when mlogin attaches until the agent reports the command's end.

session_url       makes the URLs at which mlogin and the agent attach
reconnect         connects to the reflector, and connects again after a link was lost
wait_for_agent    waits for the message Linkup: the agent has attached
terminal_session  passes bytes between terminal and link, from the message `start` to the message `exit`
user_input        keeps what the user types until the link takes it
escape            finds escapes such as `~.` in what the user types; no I/O
walltime          makes notices: the job system has suspended the job, or will soon end it
ending            the table of the ways in which a session can end; finds them in the events of a stream
link_errors       tells the user why a link ended, or for how long the reflector has sent nothing
"""
