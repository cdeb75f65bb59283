"""spin looks at every state that the models can come to; and finds wrong what is broken."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import skip_or_fail

MODELS = Path(__file__).resolve().parent

BROKEN = [
    (path.name, variant)
    for path in sorted(MODELS.glob("*.pml"))
    for variant in sorted(
        set(re.findall(r"^#ifn?def (BROKEN_\w+)", path.read_text(), re.MULTILINE))
    )
]


def verify(folder: Path, model: str, *defines: str) -> str:
    """What the verifier of this model says."""
    for tool in ("spin", "gcc"):
        if shutil.which(tool) is None:
            skip_or_fail("spin", f"{tool} is not installed")
    made = [
        ["spin", "-a", *[f"-D{each}" for each in defines], str(MODELS / model)],
        ["gcc", "-O1", "-w", "-DSAFETY", "-o", "pan", "pan.c"],
    ]
    for command in made:
        ran = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, check=False, timeout=120
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
    ran = subprocess.run(
        ["./pan", "-m10000", "-w20"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return ran.stdout


@pytest.mark.parametrize("model", sorted(path.name for path in MODELS.glob("*.pml")))
def test_no_order_of_events_leads_astray(model: str, tmp_path: Path) -> None:
    said = verify(tmp_path, model)
    assert re.search(r"errors: 0$", said, re.MULTILINE), said
    assert "max search depth too small" not in said
    assert "Search not completed" not in said


@pytest.mark.parametrize(("model", "variant"), BROKEN)
def test_what_is_broken_is_found_wrong(model: str, variant: str, tmp_path: Path) -> None:
    said = verify(tmp_path, model, variant)
    assert re.search(r"errors: [1-9]", said), said
    assert re.search("invalid end state|assertion violated", said), said


def test_each_model_has_broken_variants() -> None:
    assert {model for model, _ in BROKEN} == {path.name for path in MODELS.glob("*.pml")}
    assert len(BROKEN) >= 8
