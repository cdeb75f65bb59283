"""The way in: from the path of a file, or the arguments of `initpy run`, to the plan in it."""

from __future__ import annotations

from initpy.config import paths
from initpy.config.compiling import Compiler
from initpy.config.lint import lint
from initpy.config.problems import ConfigError, Problem, Report
from initpy.config.reading import read_main, read_sections
from initpy.core.values import Value
from initpy.plan import Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from initpy.config.arguments import Arguments


class Loaded(Value):
    """What came of a configuration that can be used."""

    plan: Plan
    warnings: tuple[Problem, ...]


def load(source: str | Arguments, environ: Mapping[str, str] | None = None) -> Loaded:
    """Read the configuration: a file, by its path, or what `initpy run` was given.

    `environ` is the environment that initpy was given; by default os.environ.

    Raises:
        ConfigError: with every problem that there is in it.
    """
    environ = paths.environ() if environ is None else environ
    report = Report()
    if isinstance(source, str):
        document = read_main(source, environ, report)
    else:
        from initpy.config.arguments import document_of  # noqa: PLC0415

        document = document_of(source, report)
    if document is None:
        raise ConfigError(report.problems(), report.warnings())
    sections = read_sections(document, environ, report)
    plan = Compiler(sections, environ).plan()
    if report.failures:
        raise ConfigError(report.problems(), report.warnings())
    plan = lint(plan, sections, environ)
    return Loaded(plan, report.warnings())
