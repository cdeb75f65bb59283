"""The errnos that PID 1 knows by number, against the machine's own."""

from __future__ import annotations

import errno

import pytest

from initpy.linux import errnos

NAMES = [name for name in vars(errnos) if name.startswith("E")]


@pytest.mark.parametrize("name", NAMES)
def test_the_number_is_the_kernels(name: str) -> None:
    assert getattr(errnos, name) == getattr(errno, name)


def test_the_name_of_a_number() -> None:
    assert errnos.errno_name(OSError(errno.ENOSPC, "")) == "ENOSPC"
    assert errnos.errno_name(OSError(4711, "")) == "4711"
