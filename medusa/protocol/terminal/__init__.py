"""The parts of the message `start` by which the client describes its terminal to the agent.

environment  the variables that the client sends: which it may send, and which the agent takes
modes        the modes of the terminal, encoded as RFC 4254 section 8 says
"""
