"""SFTP version 3, by which files are read and written: the packets and their fields (draft-ietf-secsh-filexfer-02).

attributes  the attributes of a file: its size, owner, mode and times
packets     the types of packets and statuses; cuts a stream into packets, reads and builds their fields
"""
