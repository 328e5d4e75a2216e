"""A host that can run its fleet without changes."""

from __future__ import annotations

from ansible_collections.inference.fleet.plugins.module_utils.preflight.checks import GB, Host

GOOD = Host(
    os_id="debian",
    os_version="12",
    kernel="6.1.0-18-amd64",
    systemd=True,
    missing=(),
    docker_installed=True,
    docker_version="28.2.2",
    docker_enabled=True,
    containers=frozenset(),
    foreign=frozenset(),
    missing_paths=frozenset(),
    ports={80: None, 443: None},
    cache_path="/var/lib/docker",
    cache_free=500 * GB,
    clock_ahead=0.4,
    synchronised=True,
)
