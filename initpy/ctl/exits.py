"""Exit codes: supervisorctl's, which are those of the Linux Standard Base for init scripts."""

from __future__ import annotations

OK = 0
FAILED = 1
MISUSED = 2
"""The command line, or a configuration file, is wrong."""
NO_INTERFACE = 3
"""Who answers has no supervisor.* methods."""
REFUSED = 4
"""Nobody listens at the address."""
OTHER_VERSION = 5
NOT_RUNNING = 7
"""A program does not run, or does not start; there is no such socket."""

# Of `status` alone.
STATUS_STOPPED = 3
"""One of the programs that are shown is STOPPED, EXITED, FATAL or UNKNOWN."""
STATUS_UNKNOWN = 4
"""There is no program of that name; or nobody answers."""
