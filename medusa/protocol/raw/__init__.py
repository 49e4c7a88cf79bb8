"""The raw TCP protocol, for peers and networks without HTTP.

codec     the frames: their header, and the conversion between messages and bytes
greeting  builds and parses the first line of the peer, and the reflector's answer
relay     the reflector's relays, for links with frames and for links without
words     the words at the end of a greeting, each of which stands for a header field
"""
