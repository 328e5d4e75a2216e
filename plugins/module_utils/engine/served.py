# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The versions of each model that serve and served before, in a file of the host (`versions`)."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress

from ansible_collections.inference.fleet.plugins.module_utils.engine.versions import Served
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import SERVED
from ansible_collections.inference.fleet.plugins.module_utils.inventory.wire import from_wire, to_wire
from ansible_collections.inference.fleet.plugins.module_utils.system.files import put

FILE = SERVED


def read_served() -> dict[str, Served]:
    """By model. Empty if the file is missing or broken."""
    with suppress(OSError, ValueError, AttributeError, TypeError, KeyError), open(FILE, encoding="utf-8") as file:
        return {name: from_wire(Served, one) for name, one in json.load(file).items()}
    return {}


def write_served(served: Mapping[str, Served]) -> None:
    """Raises OSError."""
    os.makedirs(os.path.dirname(FILE), mode=0o755, exist_ok=True)
    put(FILE, json.dumps(to_wire(served), indent=1) + "\n")
