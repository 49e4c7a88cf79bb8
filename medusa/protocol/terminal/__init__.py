"""A terminal, as client and agent describe it to each other, and the emulator that shows its output.

environment  the variables that the client sends: which it may send, and which the agent takes
modes        the modes of the terminal, encoded as RFC 4254 section 8 says
tracker      what the output of programs has set in an emulator, and what sets or undoes it
usual        the usual state of an emulator, and the sequences that bring it back
"""
