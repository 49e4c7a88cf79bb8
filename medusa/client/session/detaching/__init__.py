"""Lets a session go on without mlogin: the user leaves it, or starts it without a terminal here.

leaving  lets the user leave a session without ending it
start    starts a command in a terminal that the agent keeps
rounds   runs a session without showing its output, until a condition is true
"""
