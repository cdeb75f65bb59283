"""The files: the main one and what it includes, read section by section against the settings."""

from __future__ import annotations

from initpy.config.documents import parsed, read_document, read_text
from initpy.config.expansion import Expander, expanded
from initpy.config.formats import FormatError, is_ini
from initpy.config.problems import Place, Problem, nearest
from initpy.config.settings import (
    CONTROL,
    CONTROL_HTTP,
    EVENTLISTENER,
    GROUP,
    INCLUDE,
    INIT,
    PROGRAM,
)
from initpy.core.values import Value, replace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from initpy.config.documents import Document
    from initpy.config.problems import Report
    from initpy.config.settings import Section

_TOP = ("init", "program", "group", "eventlistener", "control", "include")


class Block(Value):
    """A [program.NAME] or [group.NAME] as it was read."""

    name: str
    place: Place
    options: dict[str, Any]
    """Every setting of the section: as its kind reads it, or its default."""
    given: frozenset[str]
    """The keys that the file has."""
    is_listener: bool = False
    """It is an [eventlistener.NAME], which is a program all the same, in all that it has no
    settings for."""

    def at(self, key: str) -> Place:
        return self.place.at(key)


class Sections(Value):
    """All that the files say, still by section."""

    main: Place
    init: dict[str, tuple[Any, Place]]
    """Every setting of [init], with its place."""
    programs: dict[str, Block]
    """Event listeners are among them."""
    groups: dict[str, Block]
    control: dict[str, tuple[Any, Place]]
    """Every setting of [control], with its place; that of `http` is a Block, or None."""
    variables: dict[str, str]
    """What every program has in its environment."""


def read_sections(document: Document, environ: Mapping[str, str], report: Report) -> Sections:
    """Read the main file and those it includes. What is wrong in any of them is in the report."""
    main = Place(document, (), report, Expander(document.here, environ))
    init, control = _defaults(INIT, main), _defaults(CONTROL, main)
    sections = Sections(main, init, {}, {}, control, {})
    places = (main, *_included(main, environ))
    _read_once(INIT, places, init)
    _read_once(CONTROL, places, control)
    table, place = control["http"]
    if table is not None:
        control["http"] = (_read_block("control.http", CONTROL_HTTP, *table), place)
    common = _common_variables(init)
    for place in places:
        _read_file(place.knowing(common), sections)
    if all(block.is_listener for block in sections.programs.values()) and not report.failures:
        section = document.name(("program", "NAME"))
        report.add(Problem(document.file, 0, "", f"no [{section}] in it: nothing to run"))
    return replace(sections, variables=common)


def read_main(path: str, environ: Mapping[str, str], report: Report) -> Document | None:
    """The main file, parsed: TOML or the INI of supervisord. None: it cannot be read."""
    text = read_text(path, report)
    if text is None:
        return None
    try:
        if not is_ini(path, text):
            return parsed(path, text, report)
    except FormatError as exc:
        report.add(Problem(path, exc.line, "", str(exc)))
        return None
    from initpy.config.ini.document import read_ini  # noqa: PLC0415 - new files are TOML

    return read_ini(path, text, environ, report)


def _common_variables(init: dict[str, tuple[Any, Place]]) -> dict[str, str]:
    """The variables that every program gets."""
    found: dict[str, tuple[str, Place]] = init["environment"][0]
    return {
        name: expanded(text, place, place.expander) or "" for name, (text, place) in found.items()
    }


def _included(main: Place, environ: Mapping[str, str]) -> list[Place]:
    """The files that the main one includes, sorted; what cannot be read is left out."""
    place = main.at("include")
    value = main.document.table.get("include")
    if value is None:
        return []
    if isinstance(value, dict):
        patterns = _read_block("include", INCLUDE, value, place).options["files"]
    else:
        patterns = INCLUDE.settings[0].kind.read(value, place)
    found: dict[str, None] = {}
    for pattern, item in patterns or ():
        file = expanded(pattern, item, item.expander)
        found |= dict.fromkeys(_matches(file, item) if file else ())
    documents = [read_document(file, main.report) for file in sorted(found)]
    return [
        Place(document, (), main.report, Expander(document.here, environ))
        for document in documents
        if document is not None
    ]


def _matches(pattern: str, place: Place) -> list[str]:
    """The files that a pattern stands for; a name without wildcards stands for itself."""
    import glob  # noqa: PLC0415
    import os  # noqa: PLC0415

    main = place.document.file
    directory = os.path.dirname(main)
    if not glob.has_magic(pattern):
        return [os.path.join(directory, pattern)]
    try:
        files = glob.glob(os.path.join(glob.escape(directory), pattern))
    except (OSError, ValueError, RecursionError) as exc:
        place.problem(f"cannot look for files: {exc}")
        return []
    if not files:
        place.problem("no file matches it", is_warning=True)
    return [file for file in files if not _is_same(file, main)]


def _is_same(one: str, other: str) -> bool:
    """The main file among its own includes (`*.toml`) is no second file."""
    import os  # noqa: PLC0415

    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _read_file(place: Place, sections: Sections) -> None:
    """Add the sections of a file that have a name of the user's."""
    for key, value in place.document.table.items():
        at = place.at(key)
        if key == "program":
            _read_named(PROGRAM, value, at, sections.programs)
        elif key == "group":
            _read_named(GROUP, value, at, sections.groups)
        elif key == "eventlistener":
            _read_named(EVENTLISTENER, value, at, sections.programs)
        elif key not in ("init", "control", "include"):
            what = "section" if isinstance(value, dict) else "key"
            at.problem(f"unknown {what}{nearest(key, _TOP)}")
        elif key == "include" and place.document is not sections.main.document:
            at.problem("an included file cannot include others")


def _defaults(section: Section, main: Place) -> dict[str, tuple[Any, Place]]:
    """Every setting of a section that can be there once, as it is if nothing is said."""
    block = _read_block(section.title, section, {}, main.at(section.title))
    return {key: (value, block.at(key)) for key, value in block.options.items()}


def _read_once(
    section: Section, places: tuple[Place, ...], found: dict[str, tuple[Any, Place]]
) -> None:
    """Add what all files say in such a section; a key of it can be in one of them only."""
    given: dict[str, Place] = {}
    for file in places:
        value = file.document.table.get(section.title)
        place = file.at(section.title)
        if value is None:
            continue
        if not isinstance(value, dict):
            place.expected(f"a section [{section.title}]", value)
            continue
        block = _read_block(section.title, section, value, place)
        for key in found:
            if key in block.given and key in given:
                block.at(key).problem(f"already in {given[key]}")
            elif key in block.given:
                given[key] = block.at(key)
                found[key] = (block.options[key], block.at(key))


def _read_named(section: Section, value: object, place: Place, found: dict[str, Block]) -> None:
    """[program.NAME] and the like, all of one file; `%(program_name)s` or `%(group_name)s` is known
    in it."""
    if not isinstance(value, dict):
        place.expected(f"sections [{section.title}]", value)
        return
    variable = "group_name" if section is GROUP else "program_name"
    for name, table in value.items():
        at = place.at(name).naming(**{variable: name})
        if not isinstance(table, dict):
            at.expected(f"a section [{section.title}]", table)
        elif reason := wrong_in_name(name):
            at.problem(reason)
        elif name in found:
            at.problem(f"already in {found[name].place}")
        else:
            found[name] = _read_block(name, section, table, at)


def _read_block(name: str, section: Section, table: dict[str, Any], place: Place) -> Block:
    """A section's settings; what is missing or wrong is reported and has its default."""
    for key in table:
        if key in section.refused:
            place.at(key).problem(section.refused[key])
        elif section.setting(key) is None:
            known = [setting.key for setting in section.settings]
            place.at(key).problem(f"unknown key{nearest(key, known)}")
    options: dict[str, Any] = {}
    for setting in section.settings:
        value = None
        if setting.key in table:
            value = setting.kind.read(table[setting.key], place.at(setting.key))
        elif setting.required:
            place.at(setting.key).problem(f"missing; expected {setting.kind.expected}")
        if value is None and setting.default is not None:
            value = setting.kind.read(setting.default, place)
        options[setting.key] = value
    if section is EVENTLISTENER:
        for setting in PROGRAM.settings:
            if setting.key in section.refused:
                given = setting.default
                options[setting.key] = None if given is None else setting.kind.read(given, place)
    return Block(name, place, options, frozenset(table), section is EVENTLISTENER)


def wrong_in_name(name: str) -> str:
    """What is wrong with the name of a program, a group or a process; empty: nothing."""
    if not name:
        return "a name cannot be empty"
    if any(ch in " :/*" or not ch.isprintable() for ch in name):
        return 'a name cannot have white space, control characters, ":", "/" or "*" in it'
    return ""
