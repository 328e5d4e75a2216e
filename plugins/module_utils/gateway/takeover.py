# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""A service's container is replaced by a successor without a pause for clients.

Clients reach the service by its name in a network. The successor starts there without that name, and gets the name as
an alias when it is ready: then Docker's DNS has both addresses. The previous container refuses new connections, so
clients use the other address at once, and is removed when its requests have ended. Then the successor is renamed.
Whichever step a run is cut off after, one of the two serves; `plan` says what the next run does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional, Protocol

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

CONNECT = "connect"  # the successor gets the name of the service
DRAIN = "drain"  # the previous one refuses new connections, and its requests end
ACCEPT = "accept"  # the previous one accepts connections again
REMOVE = "remove"  # the previous one
DISCARD = "discard"  # the successor
RENAME = "rename"  # the successor gets the name of the container
SHARE = 1.3  # of the memory that the running one uses: what a second one may need
SPARE = 500_000_000  # bytes of memory that stay available beside both


@dataclass(frozen=True)
class Seen:
    """A container. ready: its health check succeeds. named: clients find it by the name of the service."""

    running: bool = True
    ready: bool = True
    named: bool = False


@dataclass(frozen=True)
class Ended:
    """How a takeover ended. cut: connections of the previous container that were open when it was stopped."""

    steps: tuple[str, ...] = ()
    cut: int = 0


class Containers(Protocol):
    """What carrying out a plan needs of Docker and the kernel."""

    def connect(self) -> None: ...
    def drain(self) -> int: ...
    def accept(self) -> None: ...
    def remove(self) -> None: ...
    def discard(self) -> None: ...
    def rename(self) -> None: ...


def plan(previous: Optional[Seen], successor: Optional[Seen], take: bool) -> tuple[str, ...]:
    """The steps to one container. take: the successor, which is ready, takes over; otherwise a run that was cut off is
    finished, or undone where the successor had not taken over or does not serve."""
    if successor is None:
        if take:
            raise FleetError("there is no successor that could take over")
        return ()
    if take and not successor.ready:
        raise FleetError("the successor is not ready, so it does not take over")
    ending = (*((DRAIN,) if previous and previous.running else ()), *((REMOVE,) if previous else ()), RENAME)
    if take:
        return (*(() if successor.named else (CONNECT,)), *ending)
    if not successor.named:
        return (DISCARD,)
    if previous and previous.running and not successor.ready:
        return (ACCEPT, DISCARD)
    return ending


def carry_out(steps: Sequence[str], containers: Containers, serves: Callable[[], bool]) -> Ended:
    """serves: whether the successor is still ready. If it is not after the drain, the previous one serves again."""
    done: list[str] = []
    cut = 0
    for step in steps:
        if step == REMOVE and DRAIN in done and not serves():
            containers.accept()
            containers.discard()
            raise FleetError("the successor failed after it had taken over; the previous container serves again")
        answer = getattr(containers, step)()
        cut = int(answer) if step == DRAIN else cut
        done.append(step)
    return Ended(tuple(done), cut)


def reasons_against(previous: Optional[Seen], used: int, available: int, given: Sequence[str]) -> tuple[str, ...]:
    """Why two cannot run side by side; empty if they can. used: bytes of memory that the running one uses. available:
    bytes of the host. given: further reasons."""
    if not previous or not previous.running:
        return ("it does not run",)
    if not previous.ready:
        return ("it is not ready, so there is nobody to take over from",)
    found = list(given)
    needed = int(used * SHARE) + SPARE
    if needed > available:
        found.append(f"too little memory for two (need {_gb(needed)}, available {_gb(available)})")
    return tuple(found)


def in_words(name: str, against: Sequence[str], runs: bool, start: Optional[int] = None) -> str:
    """What a change means for clients. start: how many seconds the last start took, if that is known."""
    if not against:
        return f"{name}: a second container takes over; no request waits"
    if not runs:
        return f"{name}: starts; it does not run now"
    long = "meanwhile" if start is None else f"for about {start} s (its last start took that long)"
    return f"{name}: stops and starts again, and requests wait {long}: {'; '.join(against)}"


def _gb(number: int) -> str:
    return f"{number / 1e9:.1f} GB"
