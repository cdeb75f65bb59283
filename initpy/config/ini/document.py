"""A supervisord.conf with what it includes: read, merged and translated."""

from __future__ import annotations

import glob
import os
import re

from initpy.config.documents import Document, directory_of, read_text
from initpy.config.expansion import Expander, ExpansionError
from initpy.config.ini.syntax import DEFAULT, Option, Section, sections
from initpy.config.ini.translating import Translator
from initpy.config.problems import Problem, key_text
from initpy.core.values import replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from initpy.config.ini.translating import Merged, Translation
    from initpy.config.problems import Path, Report


class IniDocument(Document):
    """What the TOML would be, but for where everything is, and how it is called there."""

    def __init__(self, file: str, translation: Translation) -> None:
        super().__init__(file, "", translation.table)
        self.translation = translation

    def where(self, path: Path) -> tuple[str, int]:
        while path and path not in self.translation.origins:
            path = path[:-1]
        if not path:
            return self.file, 0
        origin = self.translation.origins[path]
        return origin.file, origin.line

    def name(self, path: Path) -> str:
        known = path
        while known and known not in self.translation.origins:
            known = known[:-1]
        if not known:
            return ":".join([str(part) for part in path[:2]])
        name = self.translation.origins[known].name
        rest = key_text(path[len(known) :])
        between = "" if not rest or rest.startswith("[") else " " if name.endswith("]") else "."
        return f"{name}{between}{rest}"

    def worded(self, text: str) -> str:
        text = text.replace('["sh", "-c", "…"]', 'sh -c "…"')
        setting = r"set shutdown_timeout=\1 in a section [init]"
        text = re.sub(r"set shutdown_timeout to ([0-9.]+) s", setting, text)
        text = re.sub(r"; for a default, write \$\{.*", "", text)
        return re.sub(r"write \$\{(\w+)\}", r"write %(ENV_\1)s", text)


def read_ini(
    file: str, text: str, environ: Mapping[str, str], report: Report
) -> IniDocument | None:
    """The document that a main file's text and the files it includes make.

    None: there is no use in looking further; the report has everything that is wrong.
    """
    failures = report.failures
    reader = _Reader(file, environ, report)
    merged = reader.read(text)
    if report.failures > failures:
        return None
    translation = Translator(merged, file, report).translation()
    if report.failures > failures:
        return None
    return IniDocument(file, translation)


class _Reader:
    def __init__(self, file: str, environ: Mapping[str, str], report: Report) -> None:
        self._file = file
        self._here = directory_of(file)
        self._environ = environ
        self._report = report

    def read(self, text: str) -> dict[str, Merged]:
        """All sections of all files, by name; of an option that is there again, the last."""
        found = [*self._sections(text, self._file)]
        for file in self._included(found):
            included = read_text(file, self._report)
            if included is not None:
                found += self._sections(included, file)
        return _merged(found)

    def _sections(self, text: str, file: str) -> Iterator[Section]:
        def refuse(line: int, what: str) -> None:
            self._report.add(Problem(file, line, "", what))

        here = self._here_in(file)
        for section in sections(text, file, refuse):
            if section.name == "include" and file != self._file:
                what = "an included file cannot include others: supervisord ignores it, too"
                self._report.add(Problem(file, section.line, "[include]", what, is_warning=True))
            else:
                options = [
                    replace(option, text=option.text.replace("%(here)s", here))
                    for option in section.options
                ]
                yield replace(section, options=tuple(options))

    def _here_in(self, file: str) -> str:
        """What stands for the directory of a file, where %(here)s is that of the main one."""
        directory = directory_of(file)
        if directory == self._here:
            return "%(here)s"
        if directory.startswith(f"{self._here}/"):
            return "%(here)s" + directory[len(self._here) :].replace("%", "%%")
        return directory.replace("%", "%%")

    def _included(self, found: list[Section]) -> list[str]:
        """The files to include, in their order; each once."""
        files: dict[str, None] = {}
        for section in found:
            if section.name == "include":
                given = [option for option in section.options if option.name == "files"]
                for option in given[-1:]:
                    for pattern in self._expanded(option).split():
                        files |= dict.fromkeys(self._matches(pattern, option))
                if not given:
                    self._add(section, "[include] files", "missing; expected names of files")
        return [*files]

    def _expanded(self, option: Option) -> str:
        try:
            return Expander(self._here, self._environ).expand(option.text.replace("$", "$$"))
        except ExpansionError as exc:
            self._add(option, "[include] files", str(exc))
            return ""

    def _matches(self, pattern: str, option: Option) -> list[str]:
        directory = os.path.dirname(self._file)
        try:
            files = sorted(glob.glob(os.path.join(glob.escape(directory), pattern)))
        except (OSError, ValueError, RecursionError) as exc:
            self._add(option, "[include] files", f"cannot look for files: {exc}")
            return []
        if not files:
            what = f"no file matches {pattern}"
            self._add(option, "[include] files", what, is_warning=True)
        return [file for file in files if not os.path.isdir(file) and not self._is_main(file)]

    def _is_main(self, file: str) -> bool:
        try:
            return os.path.samefile(file, self._file)
        except OSError:
            return False

    def _add(self, at: Section | Option, key: str, text: str, *, is_warning: bool = False) -> None:
        self._report.add(Problem(at.file, at.line, key, text, is_warning))


def _merged(found: list[Section]) -> dict[str, Merged]:
    defaults = [option for it in found if it.name == DEFAULT for option in it.options]
    merged: dict[str, Merged] = {}
    for section in found:
        if section.name == DEFAULT:
            continue
        if section.name not in merged:
            first = {option.name: option for option in defaults}
            merged[section.name] = (section, first, [])
        merged[section.name][1].update({option.name: option for option in section.options})
        merged[section.name][2].append(section)
    return merged
