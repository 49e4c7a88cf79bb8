"""The old protocol of scp (`scp -O`), for jobs that have no scp: asyncssh's server of it, over the job's SFTP server.

server     what scp runs on the other side; whether the job has it; serves it here
job_files  the job's files, as asyncssh asks for them
requests   sends requests by a channel, and waits for their answers
"""
