"""Makes the request for the user's command, and the texts that mlogin shows to the user.

wish      makes the request for the agent: a command in a terminal, or a command on pipes
words     makes the texts: warnings, how to leave a session, information about it
on_pipes  the interface of what uses the conversation if mlogin uses no terminal
"""
