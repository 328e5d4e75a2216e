# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The settings of the service, which the role `page` writes."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

CHANGE, LOOK = "change", "look"


@dataclass(frozen=True)
class User:
    """may: what the person may do. password: `scrypt$n$r$p$salt$hash`, or None."""

    may: str
    password: str | None = None


@dataclass(frozen=True)
class Settings:
    """inventory: as ansible-playbook gets it. folder: of the history. runtime: a folder in memory. program:
    ansible-playbook. users: by name. oidc: issuer, client_id, client_secret, name_claim."""

    inventory: Path
    folder: Path
    runtime: Path
    program: Path
    ansible_config: Path
    address: str = "127.0.0.1"
    port: int = 7860
    certificate: Path | None = None
    private_key: Path | None = None
    users: Mapping[str, User] = field(default_factory=dict)
    oidc: Mapping[str, str] | None = None

    @property
    def logs_in(self) -> bool:
        """Whether a person proves a name to the page. Without, the name is the Unix user's at the other end."""
        return bool(self.oidc) or any(user.password for user in self.users.values())

    @property
    def on_loopback(self) -> bool:
        return is_loopback(self.address)

    @classmethod
    def read(cls, file: Path) -> Settings:
        """Raises FleetError with every fault."""
        try:
            data = json.loads(file.read_text())
        except (OSError, ValueError) as error:
            raise FleetError(f"{file}: {error}; run the playbook page again") from None
        if not isinstance(data, Mapping):
            raise FleetError(f"{file}: expected a mapping; run the playbook page again")
        return cls.parse(data)

    @classmethod
    def parse(cls, data: Mapping[str, Any]) -> Settings:
        paths = ("inventory", "folder", "runtime", "program", "ansible_config")
        faults = [f"{name}: expected a path, got {show(data.get(name))}" for name in paths if not data.get(name)]
        users = {}
        known = data.get("users") or {}
        if not isinstance(known, Mapping):
            faults.append(f"users: expected a mapping of names, got {show(known)}")
            known = {}
        for name, given in known.items():
            given = given if isinstance(given, Mapping) else {}
            if given.get("may") not in (CHANGE, LOOK):
                faults.append(f"users.{name}.may: expected {CHANGE} or {LOOK}, got {show(given.get('may'))}")
            users[str(name)] = User(str(given.get("may")), given.get("password"))
        port = data.get("port", 7860)
        if not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536:
            faults.append(f"port: expected a number from 1 to 65535, got {show(port)}")
        if faults:
            raise FleetError(*faults)
        files = {name: Path(data[name]) for name in ("certificate", "private_key") if data.get(name)}
        settings = cls(
            **{name: Path(data[name]) for name in paths},
            **files,
            address=str(data.get("address", "127.0.0.1")),
            port=port,
            users=users,
            oidc=data.get("oidc"),
        )
        if not settings.on_loopback and not (settings.logs_in and settings.certificate and settings.private_key):
            raise FleetError(
                f"address: {settings.address} is no loopback address: it needs a login (passwords in users, or oidc) "
                "and TLS (certificate and private_key)"
            )
        return settings


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"
