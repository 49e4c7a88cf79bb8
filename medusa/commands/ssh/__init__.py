"""Commands by which programs that speak ssh reach a job.

proxy    `medusa ssh-proxy`: SSH's server side on standard input and output
joining  the settings with which both find and join a session
"""
