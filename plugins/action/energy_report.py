# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""inference.fleet.energy_report: runs on the controller, touches no host. Documented in modules/energy_report.py."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils import failures
from ansible_collections.inference.fleet.plugins.plugin_utils.energy import Period, price_of, prices, tables
from ansible_collections.inference.fleet.plugins.plugin_utils.energy_chart import draw

NEEDED = (
    "the report needs pandas and matplotlib, and this machine's Python lacks some of their modules ({}); "
    "install the packages of the collection's requirements-energy.txt: python3 -m pip install {}"
)
REQUIREMENTS = Path(__file__).parents[2] / "requirements-energy.txt"


class ActionModule(ActionBase):
    _supports_check_mode = True

    @failures.action
    def run(self, tmp: Any = None, task_vars: Any = None) -> dict[str, Any]:
        arguments = self._task.args
        hosts = {
            host: task_vars["hostvars"][host].get(arguments["usage"]) or {}
            for host in task_vars["ansible_play_hosts_all"]
        }
        read = {host: found["sums"] for host, found in hosts.items() if "sums" in found}
        try:
            today = datetime.now(timezone.utc).date()
            period = Period.parse(arguments.get("period"), arguments.get("first"), arguments.get("last"), today)
            price, currency = price_of(arguments.get("price")), str(arguments.get("currency") or "")
            if not any(read.values()):
                raise FleetError(f"no host has anything of {period.first} to {period.last}: " + _notes(hosts))
            if (kind := arguments.get("format", "svg")) not in ("svg", "png"):
                raise FleetError(f"format: expected svg or png, got {kind!r}")
            made = self._files(read, period, price, currency)
            changed = _differing(made)
            if not self._task.check_mode:
                for path in changed:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(made[path])
        except ImportError as error:
            lines = REQUIREMENTS.read_text().splitlines()
            packages = " ".join(f"'{line}'" for line in lines if line[:1] not in ("", "#"))
            return {"failed": True, "msg": NEEDED.format(error, packages)}
        except OSError as error:
            return {"failed": True, "msg": f"dest: {error.filename}: {error.strerror}"}
        notes = _notes({host: found for host, found in hosts.items() if found.get("note") or "sums" not in found})
        if notes:
            Display().warning(notes)
        said = {"prices": prices(read, self._tokens(task_vars), price)} if price is not None else {}
        return {"changed": bool(changed), "files": list(map(str, made)), "note": notes, **said}

    def _tokens(self, task_vars: Any) -> Iterator[dict[str, Any]]:
        name = self._task.args.get("tokens")
        for host in task_vars["ansible_play_hosts_all"] if name else ():
            text = (task_vars["hostvars"][host].get(name) or {}).get("stdout", "").strip()
            yield from json.loads(text) if text else ()

    def _files(self, read: Any, period: Period, price: float | None, currency: str) -> dict[Path, bytes]:
        """Path -> content."""
        found = tables(read, period, price, currency)
        base = Path(self._task.args.get("dest", ".")).expanduser() / f"energy-{period.name}"
        with tempfile.TemporaryDirectory() as folder:
            chart = Path(folder, f"chart.{self._task.args.get('format', 'svg')}")
            draw(found.periods, period, price, currency, chart)
            return {
                base.with_name(f"{base.name}.csv"): found.periods.to_csv(index=False).encode(),
                base.with_name(f"{base.name}-sessions.csv"): found.sessions.to_csv(index=False).encode(),
                base.with_name(f"{base.name}{chart.suffix}"): chart.read_bytes(),
            }


def _differing(made: dict[Path, bytes]) -> list[Path]:
    return [path for path, content in made.items() if not path.exists() or path.read_bytes() != content]


def _notes(hosts: dict[str, Any]) -> str:
    return "; ".join(
        f"{host}: {found.get('note') or found.get('msg') or 'could not be read'}" for host, found in hosts.items()
    )
