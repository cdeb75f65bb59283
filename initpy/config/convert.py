"""`initpy convert`: a supervisord.conf, or a Procfile, as the TOML that comes to the same."""

from __future__ import annotations

import os

from initpy.config.compiling import Compiler
from initpy.config.documents import Document, read_text
from initpy.config.formats import FormatError, is_ini
from initpy.config.problems import ConfigError, Problem, Report, escaped, say
from initpy.config.procfile import is_procfile, toml_of_procfile
from initpy.config.reading import read_sections

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

STDOUT, STDERR = 1, 2


class Assumed(dict[str, str]):
    """An environment in which every variable is set: where the file is converted is not where it
    will be used, so what is missing here is taken for a 1, with which every setting can do."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return "1"


def main(path: str) -> int:
    """Write the TOML to stdout; or what is wrong with the file to stderr.

    Returns the exit code: 0, or 2 if there is a problem.
    """
    try:
        text = converted(path)
    except ConfigError as exc:
        say(STDERR, (*exc.warnings, *exc.problems))
        return 2
    except Exception as exc:  # a bug of ours; still no traceback for who has only asked
        say(STDERR, [escaped(f"{path}: cannot be converted, by a fault of initpy: {exc!r}")])
        return 2
    say(STDOUT, text.removesuffix("\n").split("\n"))
    return 0


def converted(path: str, environ: Mapping[str, str] | None = None) -> str:
    """The TOML for the file in `path`. The environment matters for the names of included files.

    Raises:
        ConfigError: with every problem that there is in the file, or in what would be made of it.
    """
    environ = os.environ if environ is None else environ
    report = Report()
    text = read_text(path, report)
    if text is None:
        raise ConfigError(report.problems())
    if is_procfile(path, text):
        toml = toml_of_procfile(path, text, report)
        if report.failures:
            raise ConfigError(report.problems())
        return toml
    return _toml_of_ini(path, text, environ, report)


def _toml_of_ini(path: str, text: str, environ: Mapping[str, str], report: Report) -> str:
    from initpy.config.ini.document import read_ini  # noqa: PLC0415 - a Procfile needs neither
    from initpy.config.ini.writing import toml_of  # noqa: PLC0415

    try:
        if not is_ini(path, text):
            what = "expected a supervisord.conf or a Procfile: this is neither, or TOML already"
            report.add(Problem(path, 0, "", what))
            raise ConfigError(report.problems())
    except FormatError as exc:
        if path.endswith((".conf", ".ini")):
            report.add(Problem(path, exc.line, "", str(exc)))
            raise ConfigError(report.problems()) from None
    document = read_ini(path, text, environ, report)
    warnings = report.warnings()
    _check(document, environ, report)
    if document is None:
        raise ConfigError(report.problems(), report.warnings())
    return toml_of(document, warnings)


def _check(document: Document | None, environ: Mapping[str, str], report: Report) -> None:
    """Make a plan of it, to see whether that works: then it does with the TOML, too.

    Raises:
        ConfigError: it does not.
    """
    if document is not None:
        assumed = Assumed(environ)
        Compiler(read_sections(document, assumed, report), assumed).plan()
    if report.failures:
        raise ConfigError(report.problems(), report.warnings())
