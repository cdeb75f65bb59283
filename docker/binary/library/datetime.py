"""In place of the standard library's, which would first define all of it once more in Python."""

from _datetime import *  # noqa: F403
