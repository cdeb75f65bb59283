"""What tests/core lets pass: each small change of initpy/core, and whether a test sees it.

`python -m tests.mutation` makes the changes one by one, in memory, and runs for each those tests of
tests/core that execute the changed line, until the first fails. See docs/reliability.md.
"""
