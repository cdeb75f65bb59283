"""Floor 3: the relay, which brings the output of programs to where it is wanted.

It is a forked helper of PID 1, and can be killed at any instant: what it has read and not yet
written is in a memory file that PID 1 keeps, and the next relay goes on from there (`memory`).
"""
