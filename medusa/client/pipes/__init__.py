"""A session on three pipes: standard input, output and error of mlogin are those of the command, byte for byte.

pipes_session  runs the session, until the command has ended
source         standard input: what the command reads
outputs        standard output and standard error together
sink           one of them: writes what the command has written to a descriptor
descriptors    changes where a descriptor leads to, and how much a pipe holds
passed_on      the signals that mlogin passes on to the command
"""
