"""A month of two hosts with GPUs: the real meter with simulated power: python tests/lab/energy_month.py FOLDER

Writes the files that the hosts would have, and the report of them, into that folder.
"""

from __future__ import annotations

import math
import random
import sys
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from ansible_collections.inference.fleet.plugins.module_utils.energy.book import Book
from ansible_collections.inference.fleet.plugins.module_utils.energy.holders import UNASSIGNED, Holder, Share, Shares
from ansible_collections.inference.fleet.plugins.module_utils.energy.meter import Meter, Moment
from ansible_collections.inference.fleet.plugins.plugin_utils.energy import Period, tables, usage
from ansible_collections.inference.fleet.plugins.plugin_utils.energy_chart import draw

BEGIN = datetime(2026, 10, 1, tzinfo=UTC).timestamp()
DAYS, HOUR, DAY = 31, 3600, 86400
STEP_S = 300  # so that a month takes seconds; the service itself reads every second
IDLE_WATTS, BUSY_WATTS = 75, 560


def holder(model: str, replica: int = 1, day: int = 0) -> Holder:
    started = f"{datetime.fromtimestamp(BEGIN + day * DAY, UTC):%Y-%m-%dT%H:%M:%SZ}"
    made_up = zlib.crc32(f"{model}{replica}{day}".encode())
    return Holder(model, f"vllm-{model}-{replica}", f"{started} {made_up:012x}")


def whole(model: str, day: int = 0) -> tuple[Share, ...]:
    return (Share(1.0, "", holder(model, 1, day)),)


FREE = (Share(1.0, note=UNASSIGNED),)
SLICED = (
    Share(3 / 7, "3g.40gb", holder("whisper-large")),
    Share(2 / 7, "2g.20gb", holder("bge-m3")),
    Share(2 / 7, note=UNASSIGNED),
)


def shares(host: str, day: int) -> Shares:
    """A model moves in on the 12th; another was stopped from the 20th to the 23rd."""
    if host == "gpu1":
        return {"GPU-1a": whole("qwen3-32b"), "GPU-1b": whole("qwen3-32b"), "GPU-1c": SLICED}
    chat = FREE if 19 <= day < 23 else whole("qwen3-8b", 0 if day < 19 else 23)
    return {"GPU-2a": chat, "GPU-2b": whole("flux-dev", 11) if day >= 11 else FREE}


def watts(gpu: str, at: float, held: bool, chance: random.Random) -> float:
    """Office hours, weekends, and noise."""
    when = datetime.fromtimestamp(at, UTC)
    load = max(0.0, math.sin(math.pi * (when.hour + when.minute / 60 - 6) / 14)) * (0.25 if when.weekday() > 4 else 1.0)
    busy = load * {"GPU-1c": 0.5, "GPU-2b": 0.7}.get(gpu, 1.0) * chance.uniform(0.7, 1.0)
    return IDLE_WATTS + (busy * (BUSY_WATTS - IDLE_WATTS) if held else 0.0)


def minutes(host: str) -> Iterator[int]:
    """When there are readings: gpu2 was off for most of the 27th."""
    for second in range(0, DAYS * DAY, STEP_S):
        if not (host == "gpu2" and 26 * DAY + 4 * HOUR < second < 26 * DAY + 21 * HOUR):
            yield second


def write(host: str, folder: Path, begin: float = BEGIN) -> None:
    """begin: of the month, in seconds since 1970."""
    book, meter, chance = Book(folder, 400, print), Meter(STEP_S), random.Random(host)
    for second in minutes(host):
        held = shares(host, second // DAY)
        rows = meter.hold(held)
        reported: dict[str, object] = {gpu: watts(gpu, begin + second, held[gpu] != FREE, chance) for gpu in held}
        book.write([*rows, *meter.read(Moment(second, begin + second), reported)])
    book.write(meter.close(Moment(DAYS * DAY, begin + DAYS * DAY)))


def main(folder: Path) -> None:
    period = Period(date(2026, 10, 1), date(2026, 10, 31))
    read = {}
    for host in ("gpu1", "gpu2"):
        (folder / host).mkdir(parents=True)
        write(host, folder / host)
        lines = [line for path in sorted((folder / host).iterdir()) for line in path.read_text().splitlines()]
        read[host] = usage(lines, period, BEGIN + DAYS * DAY).sums
    found = tables(read, period, 0.31, "EUR")
    found.periods.to_csv(folder / "energy.csv", index=False)
    found.sessions.to_csv(folder / "sessions.csv", index=False)
    for kind in ("svg", "png"):
        draw(found.periods, period, 0.31, "EUR", folder / f"energy.{kind}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
