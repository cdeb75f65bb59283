"""Short ways to write the configurations of these tests."""

from __future__ import annotations

from tests.support import probe, toml_list


def program(name: str, *words: str, **options: object) -> str:
    """A `[program.NAME]` that runs the probe; options are TOML values, strings quoted by us."""
    return command(name, probe(name, *words), **options)


def command(name: str, argv: list[str], **options: object) -> str:
    """A `[program.NAME]` that runs `argv`."""
    lines = [f"[program.{name}]", f"command = {toml_list(argv)}"]
    lines += [f"{key} = {_toml(value)}" for key, value in options.items()]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return toml_list([value])[1:-1]
    if isinstance(value, list):
        return f"[{', '.join(_toml(item) for item in value)}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + "}"
    return repr(value)
