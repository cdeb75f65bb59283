"""The parts of docs/ that come from the settings: `python -m initpy.config.docs` writes them."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from initpy.config.problems import shown
from initpy.config.schema import schema_text
from initpy.config.settings import SECTIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from initpy.config.settings import Section, Setting

DIRECTORY = Path(__file__).parents[2] / "docs"

_GENERATED = re.compile(r"<!-- table: (?P<title>[^ ]+) -->\n.*?<!-- end of table -->\n", re.DOTALL)


def table(section: Section) -> str:
    """A section's settings as a markdown table."""
    rows = ["| Key | Value | Default | What it does |", "|---|---|---|---|"]
    for setting in section.settings:
        cells = (f"`{setting.key}`", _value(setting), _default(setting), setting.meaning)
        rows.append("| " + " | ".join([cell.replace("|", "\\|") for cell in cells]) + " |")
    return "\n".join(rows) + "\n"


def with_tables(text: str) -> str:
    """A page with each table between its marks made anew.

    Raises:
        KeyError: it asks for a table of a section that there is not.
    """
    tables = {section.title: table(section) for section in SECTIONS}
    return _GENERATED.sub(
        lambda it: f"<!-- table: {it['title']} -->\n{tables[it['title']]}<!-- end of table -->\n",
        text,
    )


def main() -> int:
    """Write the tables and the schema into the docs of this source tree."""
    page = DIRECTORY / "configuration.md"
    if not page.exists():
        print(f"cannot find {page}: this is no source tree", file=sys.stderr)  # noqa: T201
        return 2
    page.write_text(with_tables(page.read_text("utf-8")), "utf-8")
    (DIRECTORY / "initpy.schema.json").write_text(schema_text(), "utf-8")
    return 0


def _value(setting: Setting) -> str:
    return setting.kind.label + (" (expanded)" if setting.kind.expands else "")


def _default(setting: Setting) -> str:
    if setting.required:
        return "required"
    return "" if setting.default is None else f"`{_toml(setting.default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join([_toml(item) for item in value])}]"
    return "{}" if isinstance(value, dict) else shown(value)


if __name__ == "__main__":
    sys.exit(main())
