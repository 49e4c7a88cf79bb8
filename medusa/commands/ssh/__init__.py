"""Commands by which programs that speak ssh reach a job.

proxy      `medusa ssh-proxy`: SSH's server side on standard input and output
on_demand  finds the session of a profile, or starts one
config     `medusa ssh-config`: blocks for ~/.ssh/config
joining    the settings with which a program joins a session, and the options that it repeats
"""
