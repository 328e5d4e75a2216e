from __future__ import annotations

import os

import pytest
import testinfra
from faults.machine import Machine
from faults.promise import Promise
from lab.fixtures import Admin, Door

pytest_plugins = ["lab.fixtures", "faults.record"]
HOST = "phoenix"


@pytest.fixture(scope="session")
def machine() -> Machine:
    return Machine(HOST)


@pytest.fixture(scope="session")
def promise(machine: Machine, admin: Admin, tmp_path_factory: pytest.TempPathFactory) -> Promise:
    reached = testinfra.get_host(f"ansible://{HOST}", ansible_inventory=os.environ["MOLECULE_INVENTORY_FILE"])
    return Promise(machine, Door(reached, tmp_path_factory.mktemp("door")), admin)
