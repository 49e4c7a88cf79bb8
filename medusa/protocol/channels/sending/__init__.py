"""The frames that wait to be sent.

outbox  all that wait at one end of a stream, and the order in which they are sent: the channels take turns
queue   those of one channel: cuts its data into frames that fit into a message
"""
