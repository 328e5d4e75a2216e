# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Which hosts of a run have what: `gpu1, gpu2: changed; gpu3: failed (…); gpu4 to gpu8: not touched`. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

UNREACHABLE = "unreachable, so its state is unknown"
NOT_TOUCHED = "not touched"


def outcomes(
    batches: Mapping[str, int], recorded: Mapping[str, Mapping[str, Any]], check_mode: bool = False
) -> dict[str, str]:
    """Host -> outcome, in the order of the run.

    batches: host -> number of its batch. recorded: host -> result of inference.fleet.summary with `record`; a host of
    a batch that began has none only if it became unreachable.
    """
    last = max((batches[host] for host in recorded), default=0)
    changed = "would change" if check_mode else "changed"
    found = {}
    for host in sorted(batches, key=lambda host: batches[host]):
        result = recorded.get(host)
        if result is None:
            found[host] = UNREACHABLE if batches[host] <= last else NOT_TOUCHED
        elif result["fault"]:
            found[host] = f"failed ({result['fault']})"
        else:
            found[host] = changed if result["did"] else "nothing changed"
    return found


def report(found: Mapping[str, str]) -> str:
    """found: as `outcomes` returns it. Hosts with the same outcome stand together."""
    hosts: dict[str, list[str]] = {}
    for host, outcome in found.items():
        hosts.setdefault(outcome, []).append(host)
    return "; ".join(f"{', '.join(_ranges(names))}: {outcome}" for outcome, names in hosts.items())


def _ranges(names: Sequence[str]) -> Iterable[str]:
    """The names, with `gpu4 to gpu8` for three or more whose numbers follow each other."""
    run: list[str] = []
    for name in [*names, None]:
        if run and (name is None or not _follows(run[-1], name)):
            yield from ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else run)
            run = []
        run += [name] if name is not None else []


def _follows(before: str, name: str) -> bool:
    one, other = _parts(before), _parts(name)
    return one is not None and other == (one[0], str(int(one[1]) + 1).zfill(len(one[1])), one[2])


def _parts(name: str) -> Optional[tuple[str, str, str]]:
    """What stands before, in and behind the first number."""
    match = re.fullmatch(r"([^0-9]*)([0-9]+)(.*)", name)
    return (match[1], match[2], match[3]) if match else None
