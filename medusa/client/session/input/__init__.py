"""Takes what the user types during a session from standard input to the queue of bytes for the agent.

keyboard    reads standard input while mlogin may, and finds its end
user_input  keeps what the user types until the agent's side takes it
escape      finds escapes such as `~.` in what the user types; no I/O
"""
