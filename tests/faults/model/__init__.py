"""Models of how PID 1 and its helpers end and hand over, for spin; see docs/reliability.md."""
