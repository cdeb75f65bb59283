"""The fixtures that start an initpy, here with the static executable; and its modules in C."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import REPO, skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

SOURCES = REPO / "docker" / "binary"
MAIN = "#include <signal.h>\nsigset_t initpy_inherited_mask;\nchar **initpy_argv_end;\n"


@pytest.fixture
def start_init(start_init: Callable[..., Init], binary: Path) -> Callable[..., Init]:
    """As everywhere else, but for what is started."""

    def start(toml: str, **options: Any) -> Init:
        return start_init(toml, binary=binary, **options)

    return start


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The executable's modules in C, for an ordinary Python to load."""
    folder = tmp_path_factory.mktemp("module")
    include = Path(sysconfig.get_path("include"))
    if shutil.which("gcc") is None or not (include / "Python.h").exists():
        skip_or_fail("namespace", f"there is no gcc, or no {include}/Python.h")
    (folder / "main.c").write_text(MAIN)
    library = folder / "modules.so"
    sources = [SOURCES / f"{name}.c" for name in ("module", "spawn", "child", "first")]
    gcc = ["gcc", "-shared", "-fPIC", "-Wall", "-Werror", f"-I{include}", "-o", str(library)]
    subprocess.run([*gcc, *map(str, sources), str(folder / "main.c")], check=True, timeout=60)
    return library
