"""A supervisord.conf out of a string, and what came of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from initpy.config import ConfigError, Loaded, load
from initpy.config.ini.translating import NOT_CRITICAL
from tests.config.support import ENVIRON, without_the_disk

if TYPE_CHECKING:
    from collections.abc import Mapping

    from initpy.plan import ProcessSpec

WEB = "[program:web]\ncommand=/bin/sh\n"
CRITICAL = "critical=true\n"


def load_conf(text: str, environ: Mapping[str, str] = ENVIRON, **files: str) -> Loaded:
    """Load `text` as supervisord.conf of the working directory; `files` are written beside it."""
    Path("supervisord.conf").write_text(text, "utf-8")
    for name, content in files.items():
        Path(f"{name}.conf").write_text(content, "utf-8")
    return load("supervisord.conf", environ)


def said_of(text: str, environ: Mapping[str, str] = ENVIRON, **files: str) -> list[str]:
    """The warnings and notes on a file that can be used, but for what is said of every one."""
    warnings = without_the_disk(load_conf(text, environ, **files).warnings)
    return [str(it) for it in warnings if it.text != NOT_CRITICAL]


def problems_of(text: str, environ: Mapping[str, str] = ENVIRON, **files: str) -> list[str]:
    """The lines that a bad file makes."""
    with pytest.raises(ConfigError) as caught:
        load_conf(text, environ, **files)
    return [str(problem) for problem in caught.value.problems]


def web(options: str, environ: Mapping[str, str] = ENVIRON) -> ProcessSpec:
    """The only process of a file with [program:web], a command, and `options`."""
    command = "" if options.startswith("command") else "command=/bin/sh\n"
    (spec,) = load_conf(f"[program:web]\n{command}{options}\n", environ).plan.processes
    return spec
