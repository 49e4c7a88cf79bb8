"""Raw TCP, for peers and networks without HTTP.

codec     frames: the header rules and whole messages
greeting  the first line of each side
relay     the reflector's side: frames and bare bytes, moved from link to link
"""
