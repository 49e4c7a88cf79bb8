"""The programs: arguments, logging, signals and monkey-patching, and nothing else. This file imports nothing.

main           `medusa`: finds the command and calls it
reflector      `medusa reflector`: the server
sessions       `medusa sessions`: lists, shows and ends sessions
archive        `medusa archive`: writes the agent's archive
publish        `medusa publish`: puts the archive where jobs find it
sign_url       `medusa sign-url`: prints a URL for a job
mlogin         `mlogin`: the user's terminal
options        what the options of all programs have in common
manta_options  options of the programs that sign requests
"""
