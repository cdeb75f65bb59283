"""`python -m initpy`; and what the installed script runs by its path, without the site module."""

import sys

if not __package__:  # by its path; what is around the package comes last, as with the site module
    sys.path.append(__file__.rpartition("/initpy/")[0])

from initpy.cli import main

main()
