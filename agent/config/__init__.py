"""The configuration of the agent.

sources         finds the configuration of a session in the places where it may be
shared_options  the options that the agent's programs share
manta_asset     a configuration that is a copy of an object in Manta's store: deletes the object
configuration   the configuration of a session: reads it from a file, and checks it
"""
