"""The settings as a JSON Schema, which TOML editors use for completion and for marking mistakes."""

from __future__ import annotations

import json

from initpy.config.settings import (
    CONTROL,
    CONTROL_HTTP,
    EVENTLISTENER,
    GROUP,
    INCLUDE,
    INIT,
    PROGRAM,
    SIGNALS,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from initpy.config.kinds import Schema
    from initpy.config.settings import Section

_NAME = {"pattern": "^[^\\s:/*]+$"}


def schema() -> Schema:
    """The schema of a configuration file (draft 2020-12)."""
    init = _section(INIT)
    init["properties"]["signals"] |= {
        "description": plain(SIGNALS.meaning),
        "properties": _section(SIGNALS)["properties"],
    }
    control = _section(CONTROL)
    control["properties"]["http"] = _section(CONTROL_HTTP)
    include = _section(INCLUDE)
    files = include["properties"]["files"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "initpy",
        "description": "The configuration of initpy: the programs that run in a container.",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "init": init,
            "program": _named(PROGRAM),
            "group": _named(GROUP),
            "eventlistener": _named(EVENTLISTENER),
            "control": control,
            "include": {
                "description": include["description"],
                "anyOf": [*files["anyOf"], include],
            },
        },
        "$defs": {
            "program": _section(PROGRAM),
            "group": _section(GROUP),
            "eventlistener": _section(EVENTLISTENER),
        },
    }


def schema_text() -> str:
    """The schema as it is in docs/initpy.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def plain(text: str) -> str:
    """`text` without the marks of markdown."""
    return text.replace("`", "")


def _section(section: Section) -> Schema:
    properties: Schema = {}
    for setting in section.settings:
        properties[setting.key] = {"description": plain(setting.meaning), **setting.kind.schema}
        if setting.default is not None:
            properties[setting.key]["default"] = setting.default
    return {
        "description": plain(section.meaning),
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": [setting.key for setting in section.settings if setting.required],
    }


def _named(section: Section) -> Schema:
    """The table of all sections with a name of the user's."""
    return {
        "description": plain(section.meaning),
        "type": "object",
        "propertyNames": _NAME,
        "additionalProperties": {"$ref": f"#/$defs/{section.title.partition('.')[0]}"},
    }
