"""Floor 4: what a person asks of an initpy that runs."""
