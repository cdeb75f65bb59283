"""`python -m initpy`."""

from initpy.cli import main

main()
