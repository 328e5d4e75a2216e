# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Arguments of ansible-playbook from what a person entered: a text is one value, no option and no template."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

UNSAFE = "__ansible_unsafe"  # in JSON, as `!unsafe` in YAML: without it, an extra variable is a template
_FILE = re.compile(r"(^|[,:\s])\s*@")  # among names of hosts: Ansible reads them from it


def extra_variables(options: Mapping[str, str]) -> list[str]:
    """-e with all options, whose values stay texts."""
    found = {name: {UNSAFE: value.encode("utf-8", "replace").decode()} for name, value in options.items()}
    return ["-e", json.dumps(found)] if found else []


def limited(hosts: str) -> list[str]:
    """--limit. Raises FleetError for a name that Ansible takes for a file."""
    if _FILE.search(hosts):
        raise FleetError(f"limit: expected names of hosts, got {show(hosts)}")
    return [f"--limit={hosts}"] if hosts else []


def typed(playbook: str, options: Mapping[str, str], limit: str, check: bool) -> str:
    """As a person would type it."""
    words = [
        "ansible-playbook",
        f"inference.fleet.{playbook}",
        *(word for name, value in options.items() for word in ("-e", f"{name}={value}")),
        *(["--limit", limit] if limit else []),
        *(["--check", "--diff"] if check else []),
    ]
    return shlex.join(words)
