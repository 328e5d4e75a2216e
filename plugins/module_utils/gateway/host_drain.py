# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The drain of a host: Caddy refuses new requests for models, and the requests under way end by themselves. Pure.

Caddy refuses while a file exists, which it looks up at each request. So a drain needs no reload, and lasts over
restarts, reboots and runs of `install`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone

CODE = "host_drained"  # of Caddy's answer
METRIC = "inference_fleet_drained_since_timestamp_seconds"
_FORMAT = "%Y-%m-%dT%H:%M:%SZ"


@dataclass(frozen=True)
class Server:
    """A container that answers requests. process: of the container, with an ID of the host."""

    name: str
    process: int
    port: int


Count = Callable[[Server], int]


def since_text(seconds: float) -> str:
    """For the file. seconds: since 1970 in UTC."""
    return datetime.fromtimestamp(seconds, timezone.utc).strftime(_FORMAT)


def metrics(since: str, now: float) -> str:
    """For the node exporter's textfile collector. since: the file's text; now: for a file with another text."""
    try:
        began = datetime.strptime(since, _FORMAT).replace(tzinfo=timezone.utc).timestamp()
    except ValueError:
        began = now
    return f"# HELP {METRIC} Since when the host is drained.\n# TYPE {METRIC} gauge\n{METRIC} {began:.0f}\n"


def wait_for_requests(
    stages: Iterable[Iterable[Server]],
    count: Count,
    seconds: float,
    now: Callable[[], float],
    pause: Callable[[], None],
) -> Mapping[str, int]:
    """Name -> connections of the servers that still have some when the time is over; empty if all requests have ended.

    A server without a connection gets no request of a client any more. Later connections are those of health checks
    and of Prometheus, so such a server is not looked at again. stages: those that pass requests on come before those
    that receive them.
    """
    end = now() + seconds
    left: dict[str, int] = {}
    for stage in stages:
        busy = {one: count(one) for one in stage}
        while busy := {one: found for one, found in busy.items() if found}:
            if now() >= end:
                left.update({one.name: found for one, found in busy.items()})
                break
            pause()
            busy = {one: count(one) for one in busy}
    return left


def left_text(left: Mapping[str, int], seconds: float) -> str:
    """For a person."""
    if not left:
        return "no request of a client is under way"
    counts = ", ".join(f"{name} {count}" for name, count in sorted(left.items()))
    return f"requests are still under way after {seconds:g} s; connections: {counts}"
