"""Floor 2: initpy under the names of other inits, with their options, messages and exit codes."""
