"""How Hypothesis runs here: the same examples every time, nothing written to disk, no deadline on a busy machine.

`./run-tests proofs` tries more; `HYPOTHESIS_PROFILE=search ./run-tests unit` looks for new ones, for minutes.
"""

from __future__ import annotations

import os
import tempfile

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.preflight import linux_rules
from ansible_collections.inference.fleet.plugins.module_utils.system import docker_api, work
from hypothesis import HealthCheck, settings

work.FOLDER = tempfile.mkdtemp(prefix="inference-fleet-")  # modules mark their work there, and not on this machine
# No test changes this machine's networks and packet filter.
docker_api.SOCKET = f"{work.FOLDER}/docker.sock"
linux_rules._PATH = work.FOLDER

settings.register_profile(
    "house",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
    max_examples=25,
)
settings.register_profile("proofs", settings.get_profile("house"), max_examples=100)
settings.register_profile("search", settings.get_profile("house"), derandomize=False, max_examples=3000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "house"))


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "extended: takes too long for every run; part of ./run-tests extended")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """All tests in ./run-tests extended, which sets EXTENDED=yes; otherwise those without the marker."""
    left_out = [item for item in items if os.environ.get("EXTENDED") != "yes" and item.get_closest_marker("extended")]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]
