"""initpy: the init that runs as PID 1 in a container and supervises the programs in it."""

__version__ = "0.4.0"
