# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""`fleet_monitoring`: whether the host is monitored, how long Prometheus keeps its data, who may use Grafana. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Optional
from urllib.parse import urlsplit

from ansible_collections.inference.fleet.plugins.module_utils.inventory.parse import Fields
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, show

# No match contains syntax of YAML, or a password.
_ALERTMANAGER = re.compile(r"https?://([A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?")


_ENDPOINT = (r"https://[^\s@/?#]+(/[^\s#]*)?", "an https URL of the identity provider, without a user name")


@dataclass(frozen=True)
class Oidc:
    """`fleet_monitoring.oidc`: sign-in to Grafana by OpenID Connect. The client's secret is in `fleet_secrets`.

    client_id to scopes: as of the identity provider. name: of the button. domains, groups: of the users who may sign
    in; everybody if both are empty. groups_path, role_path: JMESPath of the groups and the role in the claims; without
    role_path each user begins as a Viewer, and an admin gives roles in Grafana.
    """

    client_id: str
    auth_url: str
    token_url: str
    api_url: str
    name: str = "Single sign-on"
    scopes: tuple[str, ...] = ("openid", "profile", "email")
    domains: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    groups_path: str = "groups"
    role_path: Optional[str] = None

    @classmethod
    def parse(cls, data: object, path: str) -> Oidc:
        with Fields(data, path) as read:
            return cls(
                client_id=read.text("client_id"),
                auth_url=read.text("auth_url", pattern=_ENDPOINT[0], expected=_ENDPOINT[1]),
                token_url=read.text("token_url", pattern=_ENDPOINT[0], expected=_ENDPOINT[1]),
                api_url=read.text("api_url", pattern=_ENDPOINT[0], expected=_ENDPOINT[1]),
                name=read.text("name", cls.name),
                scopes=read.texts("scopes") or cls.scopes,
                domains=read.texts("domains"),
                groups=read.texts("groups"),
                groups_path=read.text("groups_path", cls.groups_path),
                role_path=read.text("role_path", None),
            )

    @property
    def environment(self) -> dict[str, str]:
        """Grafana's settings, as variables of its container."""
        settings = {
            "ENABLED": "true",
            "NAME": self.name,
            "CLIENT_ID": self.client_id,
            "AUTH_URL": self.auth_url,
            "TOKEN_URL": self.token_url,
            "API_URL": self.api_url,
            "SCOPES": " ".join(self.scopes),
            "USE_PKCE": "true",
            "ALLOW_SIGN_UP": "true",  # of users of the identity provider, at their first sign-in
            "ALLOWED_DOMAINS": " ".join(self.domains),
            "ALLOWED_GROUPS": json.dumps(self.groups) if self.groups else "",
            "GROUPS_ATTRIBUTE_PATH": self.groups_path if self.groups else "",
            "ROLE_ATTRIBUTE_PATH": self.role_path or "",
            "ROLE_ATTRIBUTE_STRICT": "true" if self.role_path else "false",  # without a role no sign-in
            "SKIP_ORG_ROLE_SYNC": "false" if self.role_path else "true",
        }
        return {f"GF_AUTH_GENERIC_OAUTH_{name}": value for name, value in settings.items()}


@dataclass(frozen=True)
class Monitoring:
    """retention, size: limits of Prometheus' data, in its notation; the first one reached counts.

    memory_gb: the limit of the memory of Prometheus, in GB (10^9 bytes).
    alertmanagers: URLs of the Alertmanagers that receive alerts. oidc: None if Grafana has its own users only.
    """

    retention: str = "30d"
    size: str = "20GB"
    memory_gb: int = 4
    alertmanagers: tuple[str, ...] = ()
    oidc: Optional[Oidc] = None

    @classmethod
    def parse(cls, data: object, path: str) -> Optional[Monitoring]:
        """None if the host is not monitored."""
        if isinstance(data, bool):
            return cls() if data else None
        if not isinstance(data, Mapping):
            expected = "true, false or a mapping such as {retention: 30d, size: 20GB}"
            raise FleetError(f"{path}: expected {expected}, got {show(data)}")
        with Fields(data, path) as read:
            return cls(
                retention=read.text("retention", cls.retention, r"[1-9][0-9]{0,4}[hdwy]", "a time such as 30d or 1y"),
                size=read.text("size", cls.size, r"[1-9][0-9]{0,5}[MGT]B", "a size such as 20GB"),
                memory_gb=read.integer("memory_gb", cls.memory_gb, at_least=1),
                alertmanagers=read.each("alertmanagers", _parse_alertmanager),
                oidc=read.nested("oidc", Oidc.parse, None),
            )

    @property
    def out(self) -> tuple[str, ...]:
        """The containers that connect to other machines."""
        reasons = {"prometheus": self.alertmanagers, "grafana": self.oidc}
        return tuple(name for name, reason in reasons.items() if reason)

    def public(self) -> dict[str, Any]:
        """Plain data for templates, which need an Alertmanager's address in parts, and Grafana's settings."""
        urls = map(urlsplit, self.alertmanagers)
        parts = [{"scheme": url.scheme, "address": url.netloc, "path": url.path or "/"} for url in urls]
        sign_in = self.oidc.environment if self.oidc else {}
        return {**asdict(self), "alertmanagers": parts, "sign_in": sign_in}


def _parse_alertmanager(data: object, path: str) -> str:
    if isinstance(data, str) and _ALERTMANAGER.fullmatch(data):
        return str(data)
    # The URL may contain a password.
    raise FleetError(
        f"{path}: expected the URL of an Alertmanager, such as http://alerts.example.com:9093, "
        f"got {show(data, secret=True)}"
    )
