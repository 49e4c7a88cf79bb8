"""What carries one SSH connection: its bytes, and the packets with the data of its channels.

data_packets  makes and takes the packets with the data of channels; asyncssh does so with all others
pipes         the transport: two descriptors that are read and written without blocking
"""
