"""The way in: from the path of a file to the plan in it."""

from __future__ import annotations

import os

from initpy.config.compiling import Compiler
from initpy.config.lint import lint
from initpy.config.problems import ConfigError, Problem, Report
from initpy.config.reading import read_sections
from initpy.core.values import Value
from initpy.plan import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class Loaded(Value):
    """What came of a configuration that can be used."""

    plan: Plan
    warnings: tuple[Problem, ...]


def load(path: str, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read the configuration in `path`.

    `environ` is the environment that initpy was given; by default os.environ.

    Raises:
        ConfigError: with every problem that there is in the files.
    """
    environ = os.environ if environ is None else environ
    report = Report()
    sections = read_sections(path, environ, report)
    if sections is None:
        raise ConfigError(report.problems(), report.warnings())
    plan = Compiler(sections, environ).plan()
    if report.failures:
        raise ConfigError(report.problems(), report.warnings())
    plan = lint(plan, sections, environ)
    return Loaded(plan, report.warnings())
