"""Long runs: a simulated day of the core (`python -m tests.soak.simulated`), and some real minutes
of a whole initpy (`python -m tests.soak`). See docs/reliability.md."""
