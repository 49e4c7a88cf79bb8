"""Runs one session in mlogin, from the time when mlogin attaches until the agent reports the command's end.

session_url       makes the URLs at which mlogin and the agent attach
reconnect         connects to the reflector, and connects again after a link was lost
wait_for_agent    waits for the message Linkup: the agent has attached
terminal_session  passes bytes between the user's terminal and the agent's side, until the command has ended
input             what the user types: reads it, finds escapes, keeps it until the agent's side takes it
remote            the agent's side: what the messages on the link mean
detaching         sessions that go on without mlogin: the user leaves one, or starts one without a terminal here
walltime          makes notices: the job system has suspended the job, or will soon end it
silence           pings a silent reflector, and tells the user for how long it has been silent
ending            the table of the ways in which a session can end; finds them in the events of a stream
link_errors       tells the user why a link ended
"""
