"""What the client does after the link of a stream was lost: it makes a new one.

returning    brings the stream back over a new link, each time that its link is lost
way_back     makes the new link: dials, waits for the agent, receives its answer
redial       dials the reflector again and again, and decides what each refusal means
backoff      decides how long to wait before the next attempt
progress     tells the user for how long the link has been lost
job_silence  finds out that the agent does not answer, although the reflector does, or that the job has ended
sleep_watch  finds out that this machine has slept
"""
