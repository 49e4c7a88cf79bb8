"""The client's end of a stream, which carries the channels of client and agent (docs/protocol.md, part 3).

conversation  the client's end of a stream: sends the offer, receives the agent's answer, passes messages both ways
companion     the interface of what uses channels of a stream beside the session
returning     brings the stream back over a new link, each time that its link is lost
way_back      makes the new link: dials, waits for the agent, receives its answer
redial        dials the reflector again and again, and decides what each refusal means
backoff       decides how long to wait before the next attempt
progress      tells the user for how long the link has been lost
job_silence   finds out that the agent does not answer, although the reflector does, or that the job has ended
sleep_watch   finds out that this machine has slept
"""
