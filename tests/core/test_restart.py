"""When an ended process starts again, and after which delay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from initpy.core.restart import delay_s, is_exhausted, is_expected, is_restarted, recent
from initpy.core.states import ExitStatus, exit_code
from initpy.plan import ALWAYS, NEVER, UNEXPECTED, Backoff, RestartLimit
from tests.core.profile import REPEATABLE
from tests.core.specs import exited, killed, spec

if TYPE_CHECKING:
    from initpy.plan import ProcessSpec


def test_the_delay_grows_by_a_second_each_time() -> None:
    assert [delay_s(spec(), failures, 0.0) for failures in (1, 2, 3, 50)] == [1.0, 2.0, 3.0, 50.0]


@pytest.mark.parametrize("options", [spec(), spec(backoff=Backoff(1.0, 2.0, 60.0, 0.1))])
@pytest.mark.parametrize("failures", [0, -1])
def test_there_is_no_delay_after_no_failure(options: ProcessSpec, failures: int) -> None:
    with pytest.raises(ValueError, match="cannot back off after"):
        delay_s(options, failures, 0.0)


def test_the_linear_delay_knows_no_jitter() -> None:
    assert delay_s(spec(), 3, 1.0) == 3.0


def test_with_backoff_it_grows_by_the_factor_up_to_the_most() -> None:
    options = spec(backoff=Backoff(0.5, 2.0, 30.0, 0.0))
    delays = [delay_s(options, failures, 0.7) for failures in range(1, 10)]
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]


def test_a_factor_of_1_keeps_it_as_it_is() -> None:
    options = spec(backoff=Backoff(2.5, 1.0, 30.0, 0.0))
    assert [delay_s(options, failures, 0.0) for failures in (1, 2, 1000)] == [2.5] * 3


@pytest.mark.parametrize(("draw", "expected_s"), [(0.0, 10.0), (0.5, 11.0), (1.0, 12.0)])
def test_jitter_stretches_it_by_its_draw_of_the_most_it_may(draw: float, expected_s: float) -> None:
    options = spec(backoff=Backoff(10.0, 2.0, 60.0, 0.2))
    assert delay_s(options, 1, draw) == pytest.approx(expected_s)


def test_the_most_is_stretched_too_so_that_those_who_are_there_do_not_start_in_step() -> None:
    options = spec(backoff=Backoff(10.0, 2.0, 60.0, 0.5))
    assert delay_s(options, 20, 1.0) == 90.0


@pytest.mark.parametrize("failures", [1024, 1025, 100_000, 10**9])
@pytest.mark.parametrize("factor", [1.5, 2.0, 1e300])
def test_no_number_of_failures_is_too_large_for_it(failures: int, factor: float) -> None:
    options = spec(backoff=Backoff(0.1, factor, 60.0, 0.0))
    assert delay_s(options, failures, 0.0) == 60.0


@REPEATABLE
@given(
    st.floats(0.0, 100.0),
    st.floats(1.0, 1e6),
    st.floats(0.0, 1e6),
    st.floats(0.0, 1.0),
    st.integers(1, 10**6),
    st.floats(0.0, 1.0),
)
def test_it_stays_in_its_bounds_and_never_shrinks(
    initial_s: float, factor: float, max_s: float, jitter: float, failures: int, draw: float
) -> None:
    options = spec(backoff=Backoff(initial_s, factor, max_s, jitter))
    plain_s = delay_s(options, failures, 0.0)
    assert min(initial_s, max_s) <= plain_s <= max_s
    assert plain_s <= delay_s(options, failures, draw) <= plain_s * (1 + jitter)
    assert plain_s <= delay_s(options, failures + 1, 0.0)


def test_a_restart_leaves_the_window_when_it_is_as_old_as_that() -> None:
    limit = RestartLimit(3, 10.0)
    assert recent(limit, (), 50.0) == ()
    assert recent(limit, (39.0, 40.0, 40.001, 45.0, 50.0), 50.0) == (40.001, 45.0, 50.0)


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
