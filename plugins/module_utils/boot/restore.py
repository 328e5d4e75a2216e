# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""How a host was brought back: step by step, with what each took and what to do where one failed. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import Any, Optional

# In their order; what to do where one fails.
STEPS: Mapping[str, str] = {
    "checks": "put right what is named, then run reboot_restore again; nothing was touched",
    "foundation": "put right what is named, then run reboot_restore again",
    "GPUs": (
        "`nvidia-smi`, and `dmesg | grep -i -e nvrm -e xid`; after a new kernel `dkms status`. Models that have their "
        "devices all the same are served"
    ),
    "PostgreSQL": (
        "bring its image to the host if that is missing, else `docker logs postgres`; its volume is untouched. "
        "What needs no key of LiteLLM's is served"
    ),
    "models": "run reboot_restore again",
    "LiteLLM": (
        "where PostgreSQL failed too, that first; bring its image to the host if that is missing, else `docker logs "
        "litellm`; then run reboot_restore again. Models with a direct route need it not"
    ),
    "Caddy": (
        "free the port if one is named, bring its image to the host if that is missing, else `docker logs caddy`; then "
        "run reboot_restore again. Nothing is reached until it is up"
    ),
    "monitoring": "`docker logs` of the container named; all that clients use is up",
    "models ready": (
        "where the GPUs failed too, those first; bring the image to the host if that is missing, else `docker logs` of "
        "those named. The others run"
    ),
}
_FROM_RECORD_TO_EXIT_S = 30  # more than it takes Ansible to end
_AT_WORK = "activating"
ITSELF = "the host itself"
_METRICS = "inference_fleet_restore_"
_WIDTH = max(map(len, STEPS))


@dataclass(frozen=True)
class Step:
    """seconds: what it took. fault: None where it went well."""

    name: str
    seconds: float
    fault: Optional[str] = None

    def __str__(self) -> str:
        return f"{self.name:{_WIDTH}}  {self.seconds:6.1f} s" + ("" if self.fault is None else "  FAILED")


@dataclass(frozen=True)
class Restore:
    """began: seconds since 1970 in UTC. by: who ran it. ended: None while it runs, or where it was cut off."""

    began: float
    by: str
    steps: tuple[Step, ...] = ()
    ended: Optional[float] = None

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Restore:
        """What `plain` made; ValueError where it is something else."""
        try:
            steps = tuple(Step(str(one["name"]), float(one["seconds"]), one["fault"]) for one in data["steps"])
            ended = None if data["ended"] is None else float(data["ended"])
            restore = cls(float(data["began"]), str(data["by"]), steps, ended)
            restore.when()  # a time that there is
        except (LookupError, TypeError, ArithmeticError, OSError) as error:
            raise ValueError(f"no restore ({error})") from None
        return restore

    def plain(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def faults(self) -> tuple[Step, ...]:
        return tuple(step for step in self.steps if step.fault is not None)

    def when(self) -> str:
        return _utc(self.began)

    def next_step(self) -> str:
        """The first that has not been taken yet; the last one where all have."""
        taken = {step.name for step in self.steps}
        return next((name for name in STEPS if name not in taken), list(STEPS)[-1])

    def after(self, name: Optional[str], now: float, fault: Optional[str] = None) -> Restore:
        """With one more step, which ended now; without a name, with the one that was under way."""
        begun = self.began + sum(step.seconds for step in self.steps)
        return replace(self, steps=(*self.steps, Step(name or self.next_step(), max(0.0, now - begun), fault)))

    def verdict(self) -> str:
        if self.ended is None:
            return "was cut off, or is still under way"
        took = max(0.0, self.ended - self.began)  # the clock may have been put back
        return f"{'ended with faults' if self.faults else 'all is back'} after {took:.1f} s"

    def metrics(self) -> str:
        """For the node exporter's textfile collector. Of one that runs, or was cut off, only when it began."""
        series = [("began_timestamp_seconds", "When the last restore began.", self.began)]
        if self.ended is not None:
            series.append(("failed", "Whether a step of the last restore failed.", float(bool(self.faults))))
        return "".join(
            f"# HELP {_METRICS}{name} {about}\n# TYPE {_METRICS}{name} gauge\n{_METRICS}{name} {value}\n"
            for name, about, value in series
        )

    def lines(self) -> list[str]:
        """For a person: every step, then what went wrong with what to do about it."""
        told = [f"  {step}" for step in self.steps]
        untried = [name for name in STEPS if name not in {step.name for step in self.steps}]
        if self.ended is not None and untried:
            told.append(f"  not tried: {', '.join(untried)}")
        for step in self.faults:
            told += f"{step.name}: {step.fault}".splitlines()
            told.append(f"  what to do: {STEPS.get(step.name, 'run reboot_restore again')}")
        return told


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%d %H:%M:%S UTC")


def last_restore(record: str, unit: str) -> dict[str, Any]:
    """The last restore, for the playbook status: its record as data, the unit's state, and both as text.

    record: as JSON. unit: what `systemctl show` printed of the unit. Each is empty where there is none.
    """
    properties = {key: value for key, _equals, value in (line.partition("=") for line in unit.splitlines())}
    try:
        data = Restore.parse(json.loads(record)).plain()
    except ValueError:
        data = None
    return {"record": data, "unit": properties.get("ActiveState"), "text": told(record, properties)}


def told(record: str, unit: Mapping[str, str]) -> list[str]:
    """The last restore, for the playbook status.

    record: as JSON; empty where there is none. unit: of `systemctl show`, what ActiveState, Result and
    ExecMainExitTimestamp (as @SECONDS) of the unit are; empty where there is none.
    """
    lines, state = ["no restore has been recorded on this host"], unit.get("ActiveState")
    recorded, slack = 0.0, _FROM_RECORD_TO_EXIT_S
    try:
        if record.strip():
            restore = Restore.parse(json.loads(record))
            recorded = restore.ended or restore.began
            if restore.ended is not None and not restore.faults:
                slack = 0  # one that went well makes no unit fail
            cut_off = restore.ended is None and restore.by == ITSELF and state not in (None, _AT_WORK)
            verdict = "was cut off" if cut_off else restore.verdict()
            lines = [f"restore of {restore.when()} by {restore.by}: {verdict}", *restore.lines()]
    except ValueError:
        lines = ["the record of the last restore is not whole; the next restore writes it anew"]
    if state == "failed":
        stamp = unit.get("ExecMainExitTimestamp", "").lstrip("@")
        ended = float(stamp) if stamp.isdigit() else 0.0
        when = _utc(ended) if ended else "at an unknown time"
        failure = (
            f"inference-fleet-restore.service failed ({unit.get('Result', 'unknown')}, {when}); "
            "`journalctl --boot --unit inference-fleet-restore` on the host has all of it"
        )
        if recorded and ended > recorded + slack:
            lines = [failure, "it failed before it could record anything. What was recorded last is older:", *lines]
        else:
            lines.append(failure)
    elif state == _AT_WORK:
        lines.append("inference-fleet-restore.service is at work now")
    return lines
