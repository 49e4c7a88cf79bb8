"""Speaks SSH's server side on standard input and output, and maps it to the channels of a session.

It uses asyncssh, which takes long to import: only `medusa ssh-proxy` imports what needs it.

proxy         runs one SSH connection from its first to its last byte
server        what the user's ssh client asks of the connection: sessions, connections, listeners
session       a session of the client's: a shell, a command or a subsystem
scp           the old protocol of scp, for jobs that have no scp
forwards      forwarded connections in both directions, and listeners in the job
relay         passes bytes between a channel of SSH and one of the agent
config_file   blocks for ~/.ssh/config, and how they are installed
host_key      the user's host key, and the file that tells ssh of it
transport     carries the connection: its bytes, and the packets with data of channels
refusals      tells the client, in the codes of SSH, why the agent has refused something
"""
