"""How tests run an initpy with bugs: see `faulty_initpy`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support import Init

FAULTY = Path(__file__).resolve().parent / "faulty_initpy.py"
AGAIN = r"took over \d+ process(es)? from itself after \d+ ms"


class Faulty:
    """An initpy with the faults that `faults` names, and more as they are added."""

    def __init__(
        self,
        start: Callable[..., Init],
        folder: Path,
        toml: str,
        *faults: str,
        patch: str = "",
        script: Path = FAULTY,
        python: Path = Path(sys.executable),
        **options: Any,
    ) -> None:
        self.folder = folder / "faults"
        self.folder.mkdir()
        self.count = 0
        for fault in faults:
            self.add(fault)
        if patch:
            (self.folder / "patch.py").write_text(patch)
        self.init = start(
            toml,
            python=(str(python), "-I", "-S"),
            script=(str(script),),
            env={"FAULTS": str(self.folder)},
            **options,
        )

    def add(self, fault: str) -> None:
        """Of the images that begin from now on."""
        self.count += 1
        (self.folder / f"{self.count:03d}").write_text(fault)

    def left(self) -> list[str]:
        """Faults that have not struck."""
        return sorted(path.read_text() for path in self.folder.glob("[0-9]*"))

    def wait_for_all(self) -> None:
        wait_for(lambda: not self.left(), about=f"these faults: {self.left()}")
        self.init.wait_for_log(AGAIN, times=self.count)
