"""Copies files to and from a session's job: `medusa cp`. All requests go over one channel, many of them at once.

program    runs one copy, from the first request to the last; tells what has failed
places     what the command line names: paths here, and paths in a session
upload     copies files, directories and links into the job
download   copies them from the job
remote     requests about paths in the job: what they are, lists of directories
progress   the line that shows how far the copy is
report     what the user asks for, and what has become of it
jobs       carries out many pieces of work at once, each of which waits for answers
sftp       builds requests, and finds the request of each answer
"""
