"""Running a module's main() in this process, as Ansible does on a host."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from ansible.module_utils.testing import patch_module_args
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import NEEDS, pack
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError

VARIABLES = (
    "models",
    "images",
    "recipes",
    "cache",
    "mig",
    "hf_token",
    "postgres",
    "monitoring",
    "network",
    "proxy",
    "ca_bundle",
)


class Module:
    """main: the module's. Calling it gives what the module returns."""

    def __init__(self, main: Callable[[], None], capsys: pytest.CaptureFixture[str]) -> None:
        self.main = main
        self.capsys = capsys

    def __call__(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        with patch_module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            self.main()
        answer: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        answer.pop("invocation", None)
        return answer


class FleetModule(Module):
    """A module whose action plugin gives it the fleet: the variables `fleet_NAME` are arguments here.

    name: the module's. A variable with a fault is the action's answer, as on the controller.
    """

    def __init__(self, main: Callable[[], None], name: str, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__(main, capsys)
        self.needs = NEEDS[name]

    def __call__(self, check: bool = False, **arguments: Any) -> dict[str, Any]:
        variables = {f"fleet_{name}": arguments.pop(name) for name in VARIABLES if name in arguments}
        if "absent" in arguments:
            variables["fleet_absent_models"] = arguments.pop("absent")
        try:
            return super().__call__(check, **arguments, **pack(Fleet.parse(variables), self.needs))
        except FleetError as error:
            return {"failed": True, "msg": str(error)}
