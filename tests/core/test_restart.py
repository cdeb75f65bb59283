"""When an ended process starts again, and after which delay."""

from __future__ import annotations

import pytest

from initpy.core.restart import delay_s, is_exhausted, is_expected, is_restarted
from initpy.core.states import ExitStatus, exit_code
from initpy.plan import ALWAYS, NEVER, UNEXPECTED
from tests.core.specs import exited, killed, spec


def test_the_delay_grows_by_a_second_each_time() -> None:
    assert [delay_s(spec(), failures, 0.0) for failures in (1, 2, 3, 50)] == [1.0, 2.0, 3.0, 50.0]


@pytest.mark.parametrize("failures", [0, -1])
def test_there_is_no_delay_after_no_failure(failures: int) -> None:
    with pytest.raises(ValueError, match="cannot back off after"):
        delay_s(spec(), failures, 0.0)


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (1, 2), (3, 4)])
def test_it_is_tried_once_more_than_startretries(retries: int, attempts: int) -> None:
    failures = 1
    while not is_exhausted(spec(startretries=retries), failures):
        failures += 1
    assert failures == attempts


@pytest.mark.parametrize(
    ("exitcodes", "status", "expected"),
    [
        ((0,), exited(0), True),
        ((0,), exited(2), False),
        ((0, 2), exited(2), True),
        ((), exited(0), False),
        ((9, 137), killed(9), False),
        ((0,), killed(15), False),
    ],
)
def test_what_is_expected(exitcodes: tuple[int, ...], status: ExitStatus, expected: bool) -> None:
    assert is_expected(spec(exitcodes=exitcodes), status) is expected


@pytest.mark.parametrize("status", [exited(0), exited(1), killed(9)])
def test_what_is_restarted(status: ExitStatus) -> None:
    assert is_restarted(spec(autorestart=ALWAYS), status)
    assert not is_restarted(spec(autorestart=NEVER), status)
    assert is_restarted(spec(autorestart=UNEXPECTED), status) == (status != exited(0))


@pytest.mark.parametrize(
    ("status", "code"),
    [(exited(0), 0), (exited(255), 255), (killed(1), 129), (killed(64), 192), (ExitStatus(), 0)],
)
def test_the_exit_code_is_what_a_shell_would_say(status: ExitStatus, code: int) -> None:
    assert exit_code(status) == code
