from __future__ import annotations

import pytest
import testinfra
import yaml
from faults.machine import Machine
from faults.promise import Promise
from lab.fixtures import INVENTORY, Admin, Door

pytest_plugins = ["lab.fixtures", "faults.record"]


@pytest.fixture(scope="session")
def machine() -> Machine:
    """The scenario's only host of the fleet."""
    (name,) = yaml.safe_load(INVENTORY.read_text())["fleet"]["hosts"]
    return Machine(name)


@pytest.fixture(scope="session")
def promise(machine: Machine, admin: Admin, tmp_path_factory: pytest.TempPathFactory) -> Promise:
    reached = testinfra.get_host(f"ansible://{machine.name}", ansible_inventory=str(INVENTORY))
    return Promise(machine, Door(reached, tmp_path_factory.mktemp("door")), admin)
