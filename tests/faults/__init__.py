"""Faults of the kernel, one at a time, at every syscall of PID 1: see docs/reliability.md."""
