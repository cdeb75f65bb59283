"""Floor 3: the config helper. TOML in; one validated `Plan`, or every problem in it, out."""

from __future__ import annotations

from initpy.config.loading import Loaded, load
from initpy.config.problems import ConfigError, Problem

__all__ = ["ConfigError", "Loaded", "Problem", "load"]
