"""Floor 1: the only place that makes syscalls."""
