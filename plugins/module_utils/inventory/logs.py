# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`fleet_logs`: how Docker keeps the logs of containers. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields

DAEMON = "daemon"  # what Docker's own configuration (/etc/docker/daemon.json) says
DRIVERS = ("json-file", "local", DAEMON)
MOST_FILES = 1000  # Docker renames each of them at a rotation


@dataclass(frozen=True)
class Logs:
    """max_size: of one file, in Docker's notation. max_file: number of files; the oldest is removed.

    Docker applies them when it creates a container, so a change is no reason to recreate one.
    """

    driver: str = "json-file"
    max_size: str = "50m"
    max_file: int = 3

    @classmethod
    def parse(cls, data: object, path: str) -> Logs:
        with Fields(data, path) as read:
            logs = cls(
                driver=read.one_of("driver", DRIVERS, cls.driver),
                max_size=read.text("max_size", cls.max_size, r"[1-9][0-9]{0,5}[kmg]", "a size such as 50m or 1g"),
                max_file=read.integer("max_file", cls.max_file, at_least=1, at_most=MOST_FILES),
            )
            if logs.driver == "local" and logs.max_file == 1:  # moby, daemon/logger/local: it compresses older files
                read.fault("max_file", "expected at least 2 with driver local, got 1")
            return logs

    @property
    def options(self) -> Mapping[str, str]:
        """The options of the driver."""
        return {} if self.driver == DAEMON else {"max-size": self.max_size, "max-file": str(self.max_file)}

    def public(self) -> dict[str, Any]:
        """For the containers of services: null and {} leave both to Docker."""
        name: Optional[str] = None if self.driver == DAEMON else self.driver
        return {"driver": name, "options": dict(self.options)}
