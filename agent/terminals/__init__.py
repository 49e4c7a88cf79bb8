"""The terminals of the agent. They may outlive the clients that watch them.

ring  the last output of a terminal, and where a client that comes later begins to read
"""
