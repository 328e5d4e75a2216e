# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The program of inference-fleet-energy.service: samples the power of the host's GPUs and stores their energy.

python3 -m ansible_collections.inference.fleet.plugins.module_utils.energy.sampler, with these environment variables:
INFERENCE_FLEET_ENERGY_FOLDER, INFERENCE_FLEET_ENERGY_INTERVAL (seconds), INFERENCE_FLEET_ENERGY_KEEP_DAYS.
Imports nothing after the start: the collection may be replaced while the program runs.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.energy.book import Book
from ansible_collections.inference.fleet.plugins.module_utils.energy.meter import Meter, Moment
from ansible_collections.inference.fleet.plugins.module_utils.energy.power_loop import PowerLoop
from ansible_collections.inference.fleet.plugins.module_utils.energy.watch import Watch
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import ENERGY
from ansible_collections.inference.fleet.plugins.module_utils.system.failures import fault_of

WAKE_S = 1.0  # the longest wait: to end periods in time and to notice a silent nvidia-smi


def main(environment: Optional[Mapping[str, str]] = None) -> None:
    given = os.environ if environment is None else environment
    interval = int(given.get("INFERENCE_FLEET_ENERGY_INTERVAL", "1"))
    folder = Path(given.get("INFERENCE_FLEET_ENERGY_FOLDER", ENERGY))
    book = Book(folder, int(given.get("INFERENCE_FLEET_ENERGY_KEEP_DAYS", "400")), say)
    meter, power, watch = Meter(interval, book.ends()), PowerLoop(interval, say), Watch(say)
    stopped = _stopped_by(signal.SIGTERM, signal.SIGINT)
    watch.start()
    shares = watch.shares
    while not _has_come(stopped):
        readings = power.read(WAKE_S, stopped)
        now = moment()
        rows = []
        if watch.shares is not shares:
            shares = watch.shares
            rows += meter.hold(shares)
        if power.trouble:
            meter.trouble(power.trouble)
        rows += meter.read(now, readings)
        if rows:
            book.write(rows)
    power.stop()
    book.close(meter.close(moment()))


def moment() -> Moment:
    # Linux's CLOCK_BOOTTIME cannot be set, and continues while the machine sleeps.
    return Moment(time.clock_gettime(time.CLOCK_BOOTTIME), time.time())


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _stopped_by(*signals: int) -> int:
    """A file descriptor that becomes readable when one of the signals arrives."""
    reader, writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(writer)
    for one in signals:
        signal.signal(one, lambda _number, _frame: None)
    return reader


def _has_come(stopped: int) -> bool:
    try:
        return bool(os.read(stopped, 1))
    except BlockingIOError:
        return False


if __name__ == "__main__":
    try:
        main()
    except Exception as error:
        raise SystemExit(fault_of(error)) from error
