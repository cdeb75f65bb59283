"""Event listeners: programs that are told, by supervisord's protocol, what happens to the others.

    kinds      what types of events there are, and which belongs to which
    payloads   what an event says
    protocol   one listener, and the bytes that it writes
    pools      listeners of one kind, and the events that wait for them
    hub        all pools: which event goes where, and under which number
    capture    events in the output of programs
    ticks      events of the clock

All of these are pure: no clock, no descriptor. `serving` is where they meet the pipes.
"""
