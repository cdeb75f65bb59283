"""Pure tests of floor 0: no clock, no process, no file."""
