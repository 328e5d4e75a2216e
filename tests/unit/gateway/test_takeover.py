"""A service's container and its successor: one of them serves, whichever step a run is cut off after."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gateway.takeover import (
    ACCEPT,
    CONNECT,
    DISCARD,
    DRAIN,
    REMOVE,
    RENAME,
    SPARE,
    Seen,
    carry_out,
    in_words,
    plan,
    reasons_against,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

STOPPED = Seen(running=False, ready=False)
SICK = Seen(ready=False)
GB = 10**9


class Host:
    """Two containers. A container that refuses has the rule of the drain. cut: what the drain returns."""

    def __init__(self, cut: int = 0) -> None:
        self.previous: Seen | None = Seen()
        self.successor: Seen | None = Seen()
        self.refuses = False
        self.cut = cut
        self.steps: list[str] = []
        self.dies_at = ""  # the run, before this step
        self.fails_after = ""  # the successor

    def serving(self) -> bool:
        """Whether a new connection finds a container that answers."""
        previous = self.previous and self.previous.ready and not self.refuses
        return bool(previous or (self.successor and self.successor.ready and self.successor.named))

    def __getattr__(self, name: str) -> Any:
        if name not in (CONNECT, DRAIN, ACCEPT, REMOVE, DISCARD, RENAME):
            raise AttributeError(name)

        def step() -> int:
            if name == self.dies_at:
                raise KeyboardInterrupt
            self.steps.append(name)
            if name == CONNECT:
                assert self.successor
                self.successor = Seen(self.successor.running, self.successor.ready, named=True)
            elif name in (DRAIN, ACCEPT):
                self.refuses = name == DRAIN
            elif name == REMOVE:
                self.previous, self.refuses = None, False
            elif name == DISCARD:
                self.successor = None
            elif name == RENAME:
                assert self.previous is None
                self.previous, self.successor = self.successor, None
            if name == self.fails_after:
                assert self.successor
                self.successor = Seen(ready=False, named=self.successor.named)
            assert self.serving() or self.fails_after
            return self.cut

        return step

    def go(self, take: bool) -> None:
        carry_out(plan(self.previous, self.successor, take), self, self.is_ready)

    def is_ready(self) -> bool:
        return bool(self.successor and self.successor.ready)


def test_a_takeover_has_these_steps() -> None:
    assert plan(Seen(), Seen(), take=True) == (CONNECT, DRAIN, REMOVE, RENAME)


def test_without_a_successor_there_is_nothing_to_settle() -> None:
    assert all(plan(previous, None, take=False) == () for previous in (None, Seen(), STOPPED))


@pytest.mark.parametrize("successor", [None, SICK, STOPPED])
def test_nobody_takes_over_who_is_not_ready(successor: Seen | None) -> None:
    with pytest.raises(FleetError, match=r"no successor|not ready"):
        plan(Seen(), successor, take=True)


@pytest.mark.parametrize("previous", [None, STOPPED])
def test_a_container_that_does_not_run_needs_no_drain(previous: Seen | None) -> None:
    assert DRAIN not in plan(previous, Seen(), take=True)


@pytest.mark.parametrize("dies_at", [CONNECT, DRAIN, REMOVE, RENAME])
def test_a_run_that_was_cut_off_is_finished_or_undone_and_somebody_always_serves(dies_at: str) -> None:
    host = Host()
    host.dies_at = dies_at
    with pytest.raises(KeyboardInterrupt):
        host.go(take=True)
    assert host.serving()
    host.dies_at = ""
    host.go(take=False)
    assert host.serving()
    assert (host.previous is not None, host.successor, host.refuses) == (True, None, False)
    assert (DISCARD in host.steps) is (dies_at == CONNECT)


@pytest.mark.parametrize("refuses", [True, False])
def test_a_successor_that_died_in_between_gives_the_clients_back(refuses: bool) -> None:
    host = Host()
    host.successor, host.refuses = Seen(ready=False, named=True), refuses
    host.go(take=False)
    assert host.steps == [ACCEPT, DISCARD]
    assert host.serving()


def test_after_a_boot_the_one_that_had_taken_over_stays() -> None:
    down = Seen(running=False, ready=False, named=True)
    assert plan(STOPPED, down, take=False) == (REMOVE, RENAME)
    assert plan(None, down, take=False) == (RENAME,)
    assert plan(STOPPED, STOPPED, take=False) == (DISCARD,)


def test_every_state_ends_with_one_container() -> None:
    states = [None, *(Seen(*flags) for flags in product((True, False), repeat=3) if flags[0] or not flags[1])]
    for previous, successor in product(states, states):
        steps = plan(previous, successor, take=False)
        assert (DISCARD in steps) + (RENAME in steps) == (successor is not None)
        assert (REMOVE in steps) == bool(previous and RENAME in steps)


def test_a_successor_that_fails_during_the_drain_does_not_cost_the_previous_one() -> None:
    host = Host()
    host.fails_after = DRAIN
    with pytest.raises(FleetError, match="the previous container serves again"):
        host.go(take=True)
    assert host.steps == [CONNECT, DRAIN, ACCEPT, DISCARD]
    assert host.serving()


def test_the_end_says_how_many_connections_were_cut() -> None:
    host = Host(cut=3)
    ended = carry_out(plan(host.previous, host.successor, take=True), host, host.is_ready)
    assert (ended.steps, ended.cut) == ((CONNECT, DRAIN, REMOVE, RENAME), 3)


# Side by side, or one after the other


def test_two_run_side_by_side_where_there_is_room() -> None:
    assert reasons_against(Seen(), GB, int(1.3 * GB) + SPARE, []) == ()
    assert in_words("litellm", (), True) == "litellm: a second container takes over; no request waits"


def test_too_little_memory_is_said_with_both_figures() -> None:
    found = reasons_against(Seen(), GB, int(1.3 * GB) + SPARE - 1, [])
    assert found == ("too little memory for two (need 1.8 GB, available 1.8 GB)",)
    assert in_words("litellm", found, True).startswith(
        "litellm: stops and starts again, and requests wait meanwhile: too"
    )


def test_further_reasons_count_too() -> None:
    assert reasons_against(Seen(), 0, 99 * GB, ["why not"]) == ("why not",)


@pytest.mark.parametrize("previous", [None, STOPPED, SICK])
def test_nobody_takes_over_from_one_that_does_not_serve(previous: Seen | None) -> None:
    assert len(reasons_against(previous, 0, 99 * GB, [])) == 1


def test_a_first_start_makes_nobody_wait() -> None:
    assert in_words("litellm", reasons_against(None, 0, 0, []), False) == "litellm: starts; it does not run now"


def test_a_known_start_says_for_how_long_requests_wait() -> None:
    assert in_words("litellm", ("why",), True, 17) == (
        "litellm: stops and starts again, and requests wait for about 17 s (its last start took that long): why"
    )
    assert "17" not in in_words("litellm", (), True, 17)
