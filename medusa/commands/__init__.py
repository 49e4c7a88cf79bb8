"""Floor 4, the launchers: arguments, logging, signals, monkey-patching; nothing else. Imports nothing.

main       `medusa`: finds the command and hands over
reflector  `medusa reflector`: the server
archive    `medusa archive`: writes the agent's archive
publish    `medusa publish`: puts it where jobs find it
mlogin     `mlogin`: the user's terminal
"""
