"""The same to supervisord and to initpy: what their programs go through is compared."""

from __future__ import annotations

import re
from collections import Counter
from itertools import chain
from typing import TYPE_CHECKING

import pytest

from tests.compat.peers import PATIENCE_S, Pair
from tests.compat.scenarios import ALONE, COLOUR, CROWD, KEEPER, TICKER, Scenario
from tests.compat.setups import Setup
from tests.support import skip_or_fail, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.compat.peers import Peer

EARLY_S = 0.25
"""How much later than the instant from which a time limit counts a line may be written."""


def name_of(scenario: Scenario) -> str:
    return re.sub(r"\W+", "-", f"{scenario.number} {scenario.tolerance} {scenario.promise}")


@pytest.fixture(scope="module", params=["initpy.toml", "supervisord.conf"])
def crowd(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pair]:
    """One pair of daemons, with the programs of all scenarios that can live beside each other:
    once initpy has a file of its own, and once the same as supervisord."""
    programs = chain.from_iterable(scenario.programs for scenario in CROWD)
    groups = chain.from_iterable(scenario.groups for scenario in CROWD)
    setup = Setup((KEEPER, TICKER, *programs), tuple(groups))
    pair = Pair(setup, tmp_path_factory.mktemp("crowd"), env=COLOUR, reads=request.param)
    yield pair
    pair.end()


@pytest.mark.xdist_group("the crowd")
@pytest.mark.parametrize("scenario", CROWD, ids=name_of)
def test_among_others(crowd: Pair, scenario: Scenario) -> None:
    with scenario.play(crowd):
        wait_for_states(crowd, scenario)
        crowd.let_pass(TICKER.name)
        compare(crowd, scenario)


@pytest.mark.parametrize("scenario", ALONE, ids=name_of)
def test_alone(tmp_path: Path, why_no_namespace: str, scenario: Scenario) -> None:
    if scenario.options.get("as_pid1") and why_no_namespace:
        skip_or_fail("namespace", why_no_namespace)
    pair = Pair(scenario.setup, tmp_path, env=COLOUR, **scenario.options)
    try:
        with scenario.play(pair):
            wait_for_states(pair, scenario)
            compare(pair, scenario)
    finally:
        pair.end()


def test_the_table_is_whole() -> None:
    """At least 25 scenarios of the notes, each name used once, and a reason for each divergence."""
    scenarios = (*CROWD, *ALONE)
    assert len({scenario.number.partition(",")[0] for scenario in scenarios}) >= 25
    names = Counter(program.name for scenario in CROWD for program in scenario.programs)
    assert set(names.values()) == {1}
    for scenario in scenarios:
        assert scenario.tolerance in "OLTX"
        differs = scenario.tolerance == "X" or scenario.initpy or scenario.initpy_said
        assert bool(scenario.why) == bool(differs), scenario.number


# ---------------------------------------------------------------- the comparison


def expected_of(peer: Peer, scenario: Scenario) -> dict[str, str]:
    """The states of each process, as this peer is to have them."""
    own = scenario.initpy if peer.name == "initpy" else {}
    return {process: states.strip() for process, states in {**scenario.expected, **own}.items()}


def seen_of(peer: Peer, scenario: Scenario) -> dict[str, str]:
    """The states that it has had so far."""
    read = peer.logged if scenario.ends_watcher else peer.history
    return {
        process: " ".join(move.state for move in read(process)) for process in scenario.expected
    }


def wait_for_states(pair: Pair, scenario: Scenario) -> None:
    """Wait until each process has come through as many states as it is to have."""
    for peer in pair.peers:
        expected = expected_of(peer, scenario)

        def all_there(peer: Peer = peer, expected: dict[str, str] = expected) -> bool:
            seen = seen_of(peer, scenario)
            return all(len(seen[name].split()) >= len(expected[name].split()) for name in expected)

        try:
            wait_for(all_there, within_s=PATIENCE_S)
        except AssertionError:
            assert seen_of(peer, scenario) == expected, peer.report()


def compare(pair: Pair, scenario: Scenario) -> None:
    for peer in pair.peers:
        assert seen_of(peer, scenario) == expected_of(peer, scenario), peer.report()
    supervisord = pair.supervisord
    if not scenario.brief_run:  # the reading of the logs agrees with supervisord's own events
        for process, states in expected_of(supervisord, scenario).items():
            logged = " ".join(move.state for move in supervisord.logged(process))
            assert logged == states, supervisord.report()
    for peer in pair.peers:
        for process in scenario.expected:
            check_said(pair, peer, scenario, process)
        for before, after, span_s in scenario.at_least:
            (process,) = scenario.expected
            moves = peer.logged(process)
            assert moves[after].at_s - moves[before].at_s >= span_s - EARLY_S, peer.report()


def check_said(pair: Pair, peer: Peer, scenario: Scenario, process: str) -> None:
    """The words are those of the table, if it has them; else, of one program with the same states,
    they are the same in both logs."""
    said = [move.why for move in peer.logged(process) if move.why]
    if peer.name == "initpy" and process in scenario.initpy_said:
        assert said == scenario.initpy_said[process]
    elif process in scenario.initpy:
        return  # it has had another life
    elif process in scenario.said:
        assert said == scenario.said[process]
    else:
        others = [[m.why for m in other.logged(process) if m.why] for other in pair.peers]
        assert others[0] == others[1]
