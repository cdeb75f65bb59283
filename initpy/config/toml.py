"""The TOML parser: tomllib, or below Python 3.11 its twin tomli, where the text is not plain."""

from __future__ import annotations

from initpy.config.plain import read_plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class FloatText(float):
    """A TOML float that remembers how it was written: in an environment, `1.10` is a version."""

    text: str

    def __new__(cls, text: str) -> FloatText:
        new = super().__new__(cls, text)
        new.text = text.replace("_", "")
        return new


def parse(text: str) -> dict[str, Any]:
    """The table that `text` is, its floats as FloatText.

    Raises:
        ValueError: it is no TOML, in the parser's words; or it has an integer of 5,000 digits.
        RecursionError: it is nested too deep.
        ModuleNotFoundError: this Python has no parser.
    """
    table = read_plain(text, FloatText)
    if table is None:
        table = _parser().loads(text, parse_float=FloatText)
    return table


def _parser() -> Any:
    try:
        return _first_parser()
    except ModuleNotFoundError:
        import site  # noqa: PLC0415 - tomli is in site-packages, which `python3 -S` leaves out

        site.main()
        return _first_parser()


def _first_parser() -> Any:
    try:
        return __import__("tomllib")
    except ModuleNotFoundError:
        return __import__("tomli")
