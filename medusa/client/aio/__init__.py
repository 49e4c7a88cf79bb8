"""Runs programs made of coroutines on one conversation with an agent: `medusa ssh-proxy` and `medusa cp`.

aio_session  runs such a program in place of a command on pipes, from the agent's arrival to the end of the link
driver       goes on with the conversation in asyncio's loop; opens channels
channel_io   one channel: reads, writes and waits in coroutines
errors       what a channel cannot do, and why
"""
