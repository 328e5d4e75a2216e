"""Measuring on a shared machine: rounds with much load from others are repeated."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stack import Stack

LOUD = 0.15  # share of the machine
AGAIN = 2  # times as many rounds at most
NOISE = (
    f"A round in which they used more than {LOUD:.0%} is measured again, up to {AGAIN} times as many rounds in all; "
    "the quietest rounds count."
)
IDLE_SHARE, IDLE_WINDOW_S, IDLE_PATIENCE_S = 0.15, 0.3, 5


@dataclass(frozen=True)
class Taken:
    """One round: its result, and the share of the machine that others used."""

    found: Any
    others: float


def quietest(
    running: Stack, names: Iterable[str], count: int, take: Callable[[], Any], say: Callable[[str], None]
) -> list[Taken]:
    """Measures the rounds. names: the containers whose processor time belongs to the bench."""
    names, rounds = list(names), []
    while sum(one.others <= LOUD for one in rounds) < count and len(rounds) < AGAIN * count:
        say(f"round {len(rounds) + 1}")
        machine, own = machine_seconds(), _own_seconds(running, names)
        found = take()
        passed, busy = (after - before for after, before in zip(machine_seconds(), machine, strict=True))
        rounds.append(Taken(found, max(0.0, (busy - _own_seconds(running, names) + own) / passed)))
    return sorted(rounds, key=lambda one: one.others)[:count]


def settle(running: Stack, *parts: str) -> None:
    """Wait for LiteLLM's work after its answers, so that it does not affect another path."""
    deadline = time.monotonic() + IDLE_PATIENCE_S
    before = sum(map(running.processor_seconds, parts))
    while time.monotonic() < deadline:
        time.sleep(IDLE_WINDOW_S)
        now = sum(map(running.processor_seconds, parts))
        if now - before < IDLE_SHARE * IDLE_WINDOW_S:
            return
        before = now


def _own_seconds(running: Stack, names: list[str]) -> float:
    return sum(map(running.processor_seconds, names)) + time.process_time()


def machine_seconds() -> tuple[float, float]:
    """proc(5), /proc/stat: total time of all cores so far, and the busy part."""
    user, nice, system, idle, waiting, *rest = map(int, Path("/proc/stat").read_text().splitlines()[0].split()[1:9])
    busy = user + nice + system + sum(rest)
    ticks = os.sysconf("SC_CLK_TCK")
    return (busy + idle + waiting) / ticks, busy / ticks
