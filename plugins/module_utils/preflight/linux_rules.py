# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The packet filter of this host, through iptables and ip6tables."""

from __future__ import annotations

import os
import subprocess
from contextlib import suppress

from ansible_collections.inference.fleet.plugins.module_utils.preflight.host_rules import (
    VERSIONS,
    Services,
    are_right,
    to_remove,
    to_restore,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.module_utils.system.host_network import is_own

HAS_IPV6 = "/proc/net/if_inet6"
_COMMANDS = {4: "iptables", 6: "ip6tables"}
_PATH = "/usr/sbin:/sbin:/usr/local/sbin:/usr/bin:/bin"  # `su` may leave out the folders of system programs
_SECONDS = 60


def rules_are_right(downloads: Services = ()) -> bool:
    """Whether the host has the rules. False where iptables is missing or refuses. downloads: where downloads come from;
    those of this host are the `services` of `rules`."""
    services = _own(downloads)
    with suppress(FleetError):
        return all(are_right(_listed(version), version, services) for version in _versions())
    return False


def apply_rules(present: bool, check: bool, downloads: Services = ()) -> list[str]:
    """Makes the rules right, or removes them; returns the commands whose rules were changed. check: change nothing.
    downloads: as for `rules_are_right`. Raises FleetError with what iptables says."""
    services = _own(downloads)
    changed = []
    for version in _versions():
        try:
            listed = _listed(version)
        except FleetError:
            if not check:  # check mode installs no iptables
                raise
            listed = ""
        text = to_restore(listed, version, services) if present else to_remove(listed)
        if text:
            changed.append(_COMMANDS[version])
            if not check:
                _run([f"{_COMMANDS[version]}-restore", "--noflush"], text)
    return changed


def _own(downloads: Services) -> Services:
    return tuple(one for one in downloads if is_own(one[0]))


def _versions() -> tuple[int, ...]:
    return tuple(version for version in VERSIONS if version == 4 or os.path.exists(HAS_IPV6))


def _listed(version: int) -> str:
    return _run([_COMMANDS[version], "-t", "mangle", "-S"])


def _run(command: list[str], text: str = "") -> str:
    environment = {**os.environ, "PATH": _PATH, "LC_ALL": "C"}
    try:
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, check=False, timeout=_SECONDS, env=environment
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise FleetError(f"{command[0]}: {error}") from None
    if done.returncode:
        said = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise FleetError(f"{command[0]}: {said}; models could reach services of this host without its rules")
    return done.stdout
