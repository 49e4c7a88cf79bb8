"""A session on three pipes: standard input, output and error of mlogin are those of the command, byte for byte.

pipes_session  runs the session, until the command has ended
source         standard input: what the command reads
outputs        standard output and standard error: writes both, so that neither waits for the other
sink           one of these two outputs: writes it to a descriptor
descriptors    recognises a pipe, makes it hold more bytes, and makes a descriptor lead to /dev/null
passed_on      the signals that mlogin passes on to the command
"""
