"""Sessions that go on without mlogin: the user leaves one, or starts one without a terminal here.

leaving  how the user may leave a session without ending it
start    starts a command in a terminal that the agent keeps
rounds   goes on with a session whose output nobody needs, until something is the case
"""
