"""The programs and their commands: they parse arguments, and set up logging, signals and gevent.

All other work is done in other packages. This file imports nothing.

main            `medusa`: finds the command and calls it
reflector       `medusa reflector`: the server
sessions        `medusa sessions`: lists, shows and ends sessions
own_sessions    `medusa attach`, `cp`, `exec`, `kill` and `ls`: use the user's own sessions
ssh             `medusa ssh-proxy`: lets programs that speak ssh into a session
archive         `medusa archive`: writes the agent's archive
publish         `medusa publish`: puts the archive in a place where jobs find it
sign_url        `medusa sign-url`: prints a URL for a job
mlogin          `mlogin`: opens a terminal in a job
mlogin_options  the options of mlogin, in groups
user_config     the user's config file: its profiles, and the parser of the programs that read it
config          `medusa config`: shows and edits that file
options         parses the options of any program: command line, environment, config file
manta_options   the options that are shared by all programs that sign requests
tables          makes tables for people to read
process         the process that a program runs in: its standard streams, its core dumps
"""
