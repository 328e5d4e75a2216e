# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Who gets in, and through what: keys that Caddy checks, the secrets of the services, their settings. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

DIRECT = "direct-"  # how the files of direct keys begin
METRICS_ALIAS = "fleet-metrics"  # of the virtual key with which Prometheus comes to LiteLLM
OPEN_ALIAS = "fleet-open-"  # and the aliases of the virtual keys with which Caddy comes to LiteLLM on open routes
_DIRECT_KEY_NAME = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


@dataclass(frozen=True)
class SecretRule:
    """How the collection treats a secret of a host.

    prefix: of values that the host generates. rotates: whether `rotate_keys` replaces it. overlaps: whether the
    previous value stays valid for a while after that.
    """

    prefix: str = "sk-"
    rotates: bool = True
    overlaps: bool = True


# Every secret in the host's folder `secrets`, besides one `direct-NAME` for each of `fleet_direct_keys`.
SECRET_RULES: Mapping[str, SecretRule] = {
    "master_key": SecretRule(),
    "salt_key": SecretRule(rotates=False, overlaps=False),  # LiteLLM's data is encrypted with it
    "postgres_password": SecretRule(prefix="", overlaps=False),
    "open_key": SecretRule(rotates=False, overlaps=False),  # Caddy's own for the open routes; no client knows it
}


def secret_rule(name: str) -> SecretRule:
    return SecretRule() if name.startswith(DIRECT) else SECRET_RULES[name]


def check_rotates(name: str) -> None:
    """Raises FleetError for a name that is not of a secret that rotates."""
    if name.startswith(DIRECT) or (name in SECRET_RULES and SECRET_RULES[name].rotates):
        return
    rotating = ", ".join(f"-e secret={known}" for known, rule in SECRET_RULES.items() if rule.rotates)
    raise FleetError(
        f"secret: expected a secret that rotates, got {show(name)}; run again with {rotating}, or "
        f"-e secret=direct-NAME for one of fleet_direct_keys "
        f"(LiteLLM's salt key is never rotated: its database cannot be read without it)"
    )


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
