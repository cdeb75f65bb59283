"""The client, promised by the static executable, too: it is both ends here."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.ctl.conftest import start  # noqa: F401
from tests.ctl.test_access import *  # noqa: F403
from tests.ctl.test_health import *  # noqa: F403
from tests.ctl.test_output import *  # noqa: F403
from tests.ctl.test_supervisord_name import *  # noqa: F403
from tests.ctl.test_verbs import *  # noqa: F403

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def initpy_command(binary: Path) -> list[str]:
    return [str(binary)]
