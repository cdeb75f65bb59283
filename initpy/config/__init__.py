"""Floor 3: the config helper. TOML in; one validated `Plan`, or every problem in it, out."""
