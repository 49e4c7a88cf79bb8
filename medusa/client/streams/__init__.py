"""The client's end of a stream, which carries the channels of client and agent (docs/protocol.md, part 3).

conversation  the client's end of a stream: passes messages both ways, over one link after another
negotiation   offers the stream to the agent, and notes what the agent has answered
arrived       what a message of the link has brought
companion     the interface of what uses channels of a stream beside the session
pace          decides in which rounds of a session's loop the times are checked, such as a keepalive
lost_link     what happens after the link was lost: a new link is made, and the stream goes on
"""
