# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who gets in, and through what: keys that Caddy checks, the secrets of the services, their settings. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields

DIRECT = "direct-"  # how the files of direct keys begin
METRICS_ALIAS = "fleet-metrics"  # of the virtual key with which Prometheus comes to LiteLLM
OPEN_ALIAS = "fleet-open-"  # and the aliases of the virtual keys with which Caddy comes to LiteLLM on open routes
_DIRECT_KEY_NAME = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


@dataclass(frozen=True)
class Gateway:
    """`fleet_litellm`. workers: processes. restart_wait: seconds between stop and start."""

    workers: int = 1
    restart_wait: int = 5

    @classmethod
    def parse(cls, data: object, path: str) -> Gateway:
        with Fields(data, path) as read:
            return cls(
                workers=read.integer("workers", cls.workers, at_least=1),
                restart_wait=read.integer("restart_wait", cls.restart_wait),
            )


@dataclass(frozen=True)
class Door:
    """`fleet_caddy`. max_body_mb: the largest request that is let in, in MB (10^6 bytes)."""

    max_body_mb: int = 512

    @classmethod
    def parse(cls, data: object, path: str) -> Door:
        with Fields(data, path) as read:
            return cls(max_body_mb=read.integer("max_body_mb", cls.max_body_mb, at_least=1))


@dataclass(frozen=True)
class DirectKey:
    """A key that Caddy itself checks, for the routes that pass LiteLLM by. key: None has the host make one."""

    name: str
    key: Optional[str] = None

    @classmethod
    def parse(cls, data: object, path: str) -> DirectKey:
        with Fields(data, path, secret=True) as read:
            return cls(
                name=read.text(
                    "name",
                    pattern=_DIRECT_KEY_NAME,
                    expected="a file name of a-z, 0-9 and - inside",
                ),
                key=secret(read, "key"),
            )


@dataclass(frozen=True)
class Secrets:
    """Secrets that a person gave; those not given are generated on the host."""

    master_key: Optional[str] = None
    salt_key: Optional[str] = None
    postgres_password: Optional[str] = None

    @classmethod
    def parse(cls, data: object, path: str) -> Secrets:
        with Fields(data, path, secret=True) as read:
            secrets = {key: secret(read, key) for key in ("master_key", "salt_key", "postgres_password")}
            if secrets["master_key"] and not secrets["master_key"].startswith("sk-"):
                read.fault("master_key", "LiteLLM takes only keys that begin with sk-")
            return cls(**secrets)


def secret(read: Fields, key: str) -> Optional[str]:
    """A secret of printable ASCII; a fault never shows it."""
    value = read.raw(key)
    if value is None:
        return None
    if isinstance(value, str) and len(value) >= 8 and all("!" <= char <= "~" for char in value):
        return str(value)
    read.fault(key, "expected at least 8 printable ASCII characters without blanks; what was found is not shown")
    return None
