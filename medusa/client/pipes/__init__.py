"""Runs a session on three pipes: the command's standard input, output and error are mlogin's own, byte for byte.

pipes_session     runs the session, until the command has ended
forward_sessions  sessions without a command: only forwards, or one connection on standard input and output
source            reads standard input for the command
outputs           writes standard output and standard error, so that neither waits for the other
sink              writes one of these two outputs to a descriptor
descriptors       recognises a pipe, makes it hold more bytes, and makes a descriptor refer to /dev/null
received_signals  acts on the signals that mlogin receives: passes them on, or ends mlogin
passed_on         decides which signals mlogin passes on to the command
"""
