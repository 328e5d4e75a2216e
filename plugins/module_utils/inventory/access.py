# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Access: the keys that Caddy checks, the secrets of the services, the settings of Caddy and LiteLLM. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

DIRECT = "direct-"  # prefix of the file names of direct keys
OIDC_SECRET = "oidc_client_secret"  # Grafana's secret at the identity provider, which alone can generate one
METRICS_ALIAS = "fleet-metrics"  # alias of the virtual key that Prometheus sends to LiteLLM
OPEN_ALIAS = "fleet-open-"  # alias prefix of the virtual keys that Caddy sends to LiteLLM on open routes
_DIRECT_KEY_NAME = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"


@dataclass(frozen=True)
class SecretRule:
    """How the collection treats a secret of a host.

    prefix: of values that the host generates. rotates: whether `rotate_keys` replaces the value. overlaps: whether the
    previous value stays valid for a while after the rotation.
    """

    prefix: str = "sk-"
    rotates: bool = True
    overlaps: bool = True


# Every secret in the host's folder `secrets`, except OIDC_SECRET and one `direct-NAME` for each of `fleet_direct_keys`.
SECRET_RULES: Mapping[str, SecretRule] = {
    "master_key": SecretRule(),
    "salt_key": SecretRule(rotates=False, overlaps=False),  # encrypts LiteLLM's data
    "postgres_password": SecretRule(prefix="", overlaps=False),
    "open_key": SecretRule(rotates=False, overlaps=False),  # Caddy's, for the open routes; no client knows it
}


def secret_rule(name: str) -> SecretRule:
    if name == OIDC_SECRET:
        return SecretRule(prefix="", overlaps=False)  # changes with the inventory
    return SecretRule() if name.startswith(DIRECT) else SECRET_RULES[name]


def check_rotates(name: str) -> None:
    """Raises FleetError unless a secret of that name rotates."""
    if name.startswith(DIRECT) or (name in SECRET_RULES and SECRET_RULES[name].rotates):
        return
    rotating = ", ".join(f"-e secret={known}" for known, rule in SECRET_RULES.items() if rule.rotates)
    raise FleetError(
        f"secret: expected a secret that rotates, got {show(name)}; run again with {rotating}, or "
        f"-e secret=direct-NAME for one of fleet_direct_keys "
        f"(LiteLLM's salt key is never rotated: its database cannot be read without it)"
    )


# Sections of LiteLLM's configuration, with what the collection sets itself, or what would undo what it promises: who
# has a valid key, what a key may use, that a request which ended an engine reaches no other one.
OWN_SETTINGS: Mapping[str, tuple[str, ...]] = {
    "general_settings": (
        *("master_key", "database_url", "database_type", "database_args", "store_model_in_db"),
        *("allow_requests_on_db_unavailable", "custom_auth", "enable_jwt_auth", "litellm_jwtauth", "public_routes"),
        *("allowed_routes", "admin_only_routes", "pass_through_endpoints", "disable_error_logs"),
        *("maximum_spend_logs_retention_period", "maximum_spend_logs_cleanup_cron", "key_management_system"),
    ),
    "litellm_settings": (
        *("callbacks", "success_callback", "failure_callback", "service_callback", "telemetry", "num_retries"),
        *("fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "default_fallbacks", "model_alias_map"),
        *("prometheus_metrics_config", "prometheus_initialize_budget_metrics"),
    ),
    "router_settings": (
        *("routing_strategy", "num_retries", "disable_cooldowns", "model_group_alias", "default_fallbacks"),
        *("fallbacks", "context_window_fallbacks", "content_policy_fallbacks", "model_group_retry_policy"),
    ),
}
# The variable of the collection that a setting of LiteLLM has.
_INSTEAD = {
    "master_key": "fleet_secrets.master_key",
    "fallbacks": "`fallbacks` of a model",
    "context_window_fallbacks": "`fallbacks` of a model",
    "model_group_alias": "fleet_aliases",
    "model_alias_map": "fleet_aliases",
    "maximum_spend_logs_retention_period": "fleet_litellm.spend_log_days",
}
MOST_WORKERS = 256  # processes of several hundred MB each


@dataclass(frozen=True)
class LiteLLMSettings:
    """`fleet_litellm`. workers: number of processes. restart_wait: seconds for the requests of a LiteLLM that is
    replaced to end.
    spend_log_days: days for which LiteLLM keeps its row of each request.
    memory_gb: the limit of the container's memory, in GB (10^9 bytes). settings: section of LiteLLM's configuration ->
    name -> value."""

    workers: int = 1
    restart_wait: int = 120
    spend_log_days: int = 90
    memory_gb: int = 4
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @classmethod
    def parse(cls, data: object, path: str) -> LiteLLMSettings:
        with Fields(data, path) as read:
            workers = read.integer("workers", cls.workers, at_least=1, at_most=MOST_WORKERS)
            return cls(
                workers=workers,
                restart_wait=read.integer("restart_wait", cls.restart_wait),
                spend_log_days=read.integer("spend_log_days", cls.spend_log_days, at_least=1),
                memory_gb=read.integer("memory_gb", 2 * (workers + 1), at_least=1),
                settings=read.nested("settings", _settings, {}),
            )


def _settings(data: object, path: str) -> dict[str, Mapping[str, Any]]:
    with Fields(data, path) as read:
        found = {section: read.mapping(section) for section in OWN_SETTINGS}
        for section, values in found.items():
            for name in values:
                if name in OWN_SETTINGS[section]:
                    instead = f"; use {_INSTEAD[name]}" if name in _INSTEAD else ""
                    read.fault(f"{section}.{name}", f"set by the collection, or against what it promises{instead}")
        return {section: dict(values) for section, values in found.items() if values}


@dataclass(frozen=True)
class CaddySettings:
    """`fleet_caddy`. max_body_mb: the largest request body that Caddy accepts, in MB (10^6 bytes).
    max_api_body_mb: the largest one for LiteLLM. check_key_above_kb: above this size of a body, in KiB, the key is
    checked first. memory_gb: the limit of the container's memory, in GB (10^9 bytes). cors_origins: of web pages whose
    scripts may use the API."""

    max_body_mb: int = 512
    max_api_body_mb: int = 32
    check_key_above_kb: int = 32
    memory_gb: int = 2
    cors_origins: tuple[str, ...] = ()

    @classmethod
    def parse(cls, data: object, path: str) -> CaddySettings:
        with Fields(data, path) as read:
            max_body_mb = read.integer("max_body_mb", cls.max_body_mb, at_least=1)
            return cls(
                max_body_mb=max_body_mb,
                max_api_body_mb=min(read.integer("max_api_body_mb", cls.max_api_body_mb, at_least=1), max_body_mb),
                check_key_above_kb=read.integer("check_key_above_kb", cls.check_key_above_kb, at_least=1),
                memory_gb=read.integer("memory_gb", cls.memory_gb, at_least=1),
                cors_origins=read.each("cors_origins", _origin),
            )


def _origin(data: object, path: str) -> str:
    """As browsers send it. Caddy's configuration contains it unescaped."""
    if isinstance(data, str) and re.fullmatch(r"\*|https?://([a-z0-9.-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?", data):
        return str(data)
    raise FleetError(
        f"{path}: expected an origin as browsers send it, such as https://chat.example.com or http://localhost:3000 "
        f"(no path, no capital letters), or * for all, got {show(data)}"
    )


@dataclass(frozen=True)
class DirectKey:
    """A key that Caddy checks, for the routes that bypass LiteLLM. key: None if the host generates it."""

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
    """Secrets from the inventory; the host generates the missing ones, except `oidc_client_secret`."""

    master_key: Optional[str] = None
    salt_key: Optional[str] = None
    postgres_password: Optional[str] = None
    oidc_client_secret: Optional[str] = None

    @classmethod
    def parse(cls, data: object, path: str) -> Secrets:
        with Fields(data, path, secret=True) as read:
            names = ("master_key", "salt_key", "postgres_password", OIDC_SECRET)
            secrets = {key: secret(read, key) for key in names}
            if secrets["master_key"] and not secrets["master_key"].startswith("sk-"):
                read.fault("master_key", "LiteLLM takes only keys that begin with sk-")
            return cls(**secrets)


def secret(read: Fields, key: str) -> Optional[str]:
    """A secret of printable ASCII. Its value is in no fault."""
    value = read.raw(key)
    if value is None:
        return None
    if isinstance(value, str) and len(value) >= 8 and all("!" <= char <= "~" for char in value):
        return str(value)
    read.fault(key, "expected at least 8 printable ASCII characters without blanks; what was found is not shown")
    return None
