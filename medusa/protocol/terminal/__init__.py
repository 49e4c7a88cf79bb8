"""What the client tells the agent about its terminal, in `start`.

environment  the variables that the client sends: which it may send, and which the agent takes
modes        the modes of the terminal, encoded as RFC 4254 section 8 says
"""
