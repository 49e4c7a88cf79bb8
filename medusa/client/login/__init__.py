"""What one run of mlogin asks of the agent, and its words for the user.

wish   what the user asks the agent for, in a terminal or on pipes
words  words for the user: warnings, how to leave a session, information about it
"""
