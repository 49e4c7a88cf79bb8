"""The steps of one run of mlogin: requests, texts, the wait for the agent, the session.

course          runs the session, from the attach to the end of the job
session_runner  runs the session after the agent has attached
wait            waits for the agent, and reads meanwhile what the user types
preparation     decides whether a job can be started, and which variables it gets
job_request     makes the request for the job that is to run the agent
announced       lists the session on this machine
wish            makes the request for the agent: a command in a terminal, or a command on pipes
words           makes the texts: warnings, how to leave a session, information about it
on_pipes        the interface of what uses the conversation if mlogin uses no terminal
"""
