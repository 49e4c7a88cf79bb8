"""A terminal, as client and agent describe it to each other, and the emulator that shows its output.

environment  decides which environment variables the client sends, and which the agent accepts
modes        the modes of the terminal, encoded as RFC 4254 section 8 says
tracker      follows what output changes in a terminal emulator, to undo or to repeat it
usual        the usual state of an emulator, and the sequences that bring it back
"""
