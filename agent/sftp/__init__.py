"""An SFTP server (version 3) for nodes that have none: the process of the agent that reads and writes the user's files.

serve     the loop of the process: reads requests, writes answers
server    the answer to a request, also to one that fails or that is none
requests  carries out each request, and builds its answer
handles   the files and directories that the client has open
names     what READDIR says of a file: its name, a line as of `ls -l`, and its attributes
"""
