# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The batches in which a run changes several hosts, from the options `batch` and `canary`. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

_EXPECTED = "expected numbers of hosts (1 or more) or percentages (1% to 100%), such as 2, 25% or 1,5,100%"


def batches(hosts: Sequence[str], batch: object = "", canary: object = "") -> list[list[str]]:
    """The hosts of each batch, in order. Raises FleetError for a wrong option.

    batch: sizes as text (`1,50%,100%`), a number or a list; percentages are of all hosts, rounded down, at least one
    host. The last size counts for all further batches; without a size, all hosts are one batch. canary: the host that
    is a batch of its own before the others.
    """
    sizes = _sizes(batch, len(hosts))
    first = _canary(canary, hosts)
    left = [host for host in hosts if host not in first]
    found = [first] if first else []
    for index in range(len(hosts)):
        size = sizes[min(index, len(sizes) - 1)] if sizes else len(left)
        if left:
            found.append(left[:size])
        left = left[size:]
    return found


def _sizes(batch: object, count: int) -> list[int]:
    words = batch if isinstance(batch, (list, tuple)) else [] if batch in ("", None) else str(batch).split(",")
    sizes = []
    for word in words:
        text = "" if isinstance(word, bool) else str(word).strip()
        match = re.fullmatch(r"0*([1-9][0-9]{0,5})(%?)", text, re.ASCII)
        if not match or (match[2] and int(match[1]) > 100):
            raise FleetError(f"batch={_written(batch)}: {_EXPECTED}, got {str(word).strip() or 'nothing'}")
        sizes.append(max(int(match[1]) * count // 100, 1) if match[2] else int(match[1]))
    return sizes


def _written(batch: object) -> str:
    return ",".join(str(word) for word in batch) if isinstance(batch, (list, tuple)) else str(batch)


def _canary(canary: object, hosts: Sequence[str]) -> list[str]:
    if canary in ("", None):
        return []
    if canary not in hosts:
        near = difflib.get_close_matches(str(canary), hosts, 1)
        known = f"{near[0]}, the nearest name" if near else ", ".join(hosts)
        raise FleetError(f"canary={canary}: expected the name of one host of this run ({known}), got another name")
    return [str(canary)]
