# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The record of a boot-time restore: each step with its duration, and what to do if it failed. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from typing import Any, Optional

# The steps in order -> what to do if the step fails.
STEPS: Mapping[str, str] = {
    "checks": "fix the named faults, then run reboot_restore again; nothing was changed",
    "foundation": "fix the named faults, then run reboot_restore again",
    "GPUs": (
        "see `nvidia-smi`, and `dmesg | grep -i -e nvrm -e xid`; after a new kernel `dkms status`. Models that have "
        "their devices are served"
    ),
    "PostgreSQL": (
        "copy the image to the host if it is missing, else see `docker logs postgres`; the volume is unchanged. "
        "Routes that need no key of LiteLLM are served"
    ),
    "models": "run reboot_restore again",
    "LiteLLM": (
        "if PostgreSQL failed too, fix PostgreSQL first; copy the image to the host if it is missing, else see `docker "
        "logs litellm`; then run reboot_restore again. Direct routes work without LiteLLM"
    ),
    "Caddy": (
        "free the port if one is named, copy the image to the host if it is missing, else see `docker logs caddy`; "
        "then run reboot_restore again. No model is reachable until Caddy runs"
    ),
    "monitoring": "see `docker logs` of the named container; clients are not affected",
    "models ready": (
        "if the GPUs failed too, fix the GPUs first; copy the image to the host if it is missing, else see `docker "
        "logs` of the named containers. The other models run"
    ),
}
_FROM_RECORD_TO_EXIT_S = 30  # more than Ansible needs to end
_AT_WORK = "activating"
ITSELF = "the host itself"
SHOW_UNIT = (
    *("systemctl", "show", "inference-fleet-restore.service", "--timestamp=unix"),
    "--property=ActiveState,Result,ExecMainExitTimestamp",
)
"""The command whose output `last_restore` takes."""
_METRICS = "inference_fleet_restore_"
_WIDTH = max(map(len, STEPS))


@dataclass(frozen=True)
class Step:
    """seconds: its duration. fault: None if it succeeded."""

    name: str
    seconds: float
    fault: Optional[str] = None

    def __str__(self) -> str:
        return f"{self.name:{_WIDTH}}  {self.seconds:6.1f} s" + ("" if self.fault is None else "  FAILED")


@dataclass(frozen=True)
class Restore:
    """began: seconds since 1970 in UTC. by: who ran it. ended: None while it runs, or if it was interrupted."""

    began: float
    by: str
    steps: tuple[Step, ...] = ()
    ended: Optional[float] = None

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Restore:
        """From the result of `plain`. Raises ValueError for anything else."""
        try:
            steps = tuple(Step(str(one["name"]), float(one["seconds"]), one["fault"]) for one in data["steps"])
            ended = None if data["ended"] is None else float(data["ended"])
            restore = cls(float(data["began"]), str(data["by"]), steps, ended)
            restore.when()  # raises for an impossible time
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
        """The first step that has not ended yet; the last step if all have."""
        taken = {step.name for step in self.steps}
        return next((name for name in STEPS if name not in taken), list(STEPS)[-1])

    def after(self, name: Optional[str], now: float, fault: Optional[str] = None) -> Restore:
        """The restore with one more step, which ended now; without a name, the step that was running."""
        begun = self.began + sum(step.seconds for step in self.steps)
        return replace(self, steps=(*self.steps, Step(name or self.next_step(), max(0.0, now - begun), fault)))

    def verdict(self) -> str:
        if self.ended is None:
            return "was interrupted, or is still running"
        took = max(0.0, self.ended - self.began)  # the clock may have been set back
        return f"{'ended with faults' if self.faults else 'succeeded'} after {took:.1f} s"

    def metrics(self) -> str:
        """For the node exporter's textfile collector. Without an end, only the time of its start."""
        series = [("began_timestamp_seconds", "When the last restore began.", self.began)]
        if self.ended is not None:
            series.append(("failed", "Whether a step of the last restore failed.", float(bool(self.faults))))
        return "".join(
            f"# HELP {_METRICS}{name} {about}\n# TYPE {_METRICS}{name} gauge\n{_METRICS}{name} {value}\n"
            for name, about, value in series
        )

    def lines(self) -> list[str]:
        """For display: every step, then the faults with what to do."""
        lines = [f"  {step}" for step in self.steps]
        untried = [name for name in STEPS if name not in {step.name for step in self.steps}]
        if self.ended is not None and untried:
            lines.append(f"  not tried: {', '.join(untried)}")
        for step in self.faults:
            lines += f"{step.name}: {step.fault}".splitlines()
            lines.append(f"  what to do: {STEPS.get(step.name, 'run reboot_restore again')}")
        return lines


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
    return {"record": data, "unit": properties.get("ActiveState"), "text": restore_lines(record, properties)}


def restore_lines(record: str, unit: Mapping[str, str]) -> list[str]:
    """The last restore, for the playbook status.

    record: as JSON, or empty. unit: ActiveState, Result and ExecMainExitTimestamp (as @SECONDS) from
    `systemctl show` of the unit, or empty.
    """
    lines, state = ["no restore has been recorded on this host"], unit.get("ActiveState")
    recorded, slack = 0.0, _FROM_RECORD_TO_EXIT_S
    try:
        if record.strip():
            restore = Restore.parse(json.loads(record))
            recorded = restore.ended or restore.began
            if restore.ended is not None and not restore.faults:
                slack = 0  # a successful restore does not make the unit fail
            cut_off = restore.ended is None and restore.by == ITSELF and state not in (None, _AT_WORK)
            verdict = "was interrupted" if cut_off else restore.verdict()
            lines = [f"restore of {restore.when()} by {restore.by}: {verdict}", *restore.lines()]
    except ValueError:
        lines = ["the record of the last restore is damaged; the next restore replaces it"]
    if state == "failed":
        stamp = unit.get("ExecMainExitTimestamp", "").lstrip("@")
        ended = float(stamp) if stamp.isdigit() else 0.0
        when = _utc(ended) if ended else "at an unknown time"
        failure = (
            f"inference-fleet-restore.service failed ({unit.get('Result', 'unknown')}, {when}); "
            "`journalctl --boot --unit inference-fleet-restore` on the host shows its log"
        )
        if recorded and ended > recorded + slack:
            lines = [failure, "the unit failed before it recorded a restore. The last record is older:", *lines]
        else:
            lines.append(failure)
    elif state == _AT_WORK:
        lines.append("inference-fleet-restore.service is running now")
    return lines
