"""The client's end of a stream, which carries the channels of client and agent (docs/protocol.md, part 3).

conversation  joins a stream and its links: the offer in `start`, the agent's answer, and then messages both ways
returning     brings the stream back after its link is lost: when, for how long, what the user is told
way_back      the way to the next link: dial, wait for the agent, hear its answer
redial        dials the reflector again and again; what each refusal means
backoff       how long to wait before the next attempt
progress      tells the user for how long the link has been lost
job_silence   tells the user that the agent does not answer, although the reflector does; whether the job has ended
sleep_watch   notices that this machine has slept
"""
