"""Floor 0: what initpy decides, without a clock, a file descriptor, a path or a syscall."""
