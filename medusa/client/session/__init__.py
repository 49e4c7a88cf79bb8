"""Runs one session in mlogin, from the time when mlogin attaches until the agent reports the command's end.

session_url       makes the URLs at which mlogin and the agent attach
reconnect         connects to the reflector, and connects again after a link was lost
wait_for_agent    waits for the message Linkup: the agent has attached
terminal_session  passes bytes between the user's terminal and the agent's side, until the command has ended
screen            shows the output on the user's terminal, and holds what the terminal has not taken yet
input             reads what the user types, finds escapes, and keeps it until the agent's side takes it
remote            the agent's side: sends it the input, receives its output, and finds the end of the command
detaching         lets a session go on without mlogin: the user leaves it, or starts it without a terminal here
walltime          makes notices: the job system has suspended the job, or will soon end it
silence           pings a silent reflector, and tells the user for how long it has been silent
ending            lists the ways in which a session can end, and finds them in the events of a stream
link_errors       tells the user why a link ended
"""
