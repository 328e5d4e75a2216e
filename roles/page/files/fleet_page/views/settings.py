# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates of the front doors, and the settings of every host."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from ansible_collections.inference.fleet.plugins.plugin_utils.page.fields import Field
from ansible_collections.inference.fleet.plugins.plugin_utils.page.yaml_text import inline
from cryptography import x509

from fleet_page.edits import Snapshot
from fleet_page.hidden import masked
from fleet_page.views import parts
from fleet_page.views.parts import Markup

SECONDS = 3.0
SOON_DAYS = 14


def certificates(snapshot: Snapshot) -> Markup:
    urls = {name: host.fleet.public()["base_url"] for name, host in snapshot.hosts.items() if host.fleet}
    with ThreadPoolExecutor(8) as threads:
        found = dict(zip(urls, threads.map(_certificate, urls.values()), strict=True))
    rows = []
    for name, url in urls.items():
        one = found[name]
        if isinstance(one, str):
            rows.append((name, url, parts.mark(parts.BAD, "not read"), one, ""))
            continue
        left = (one.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86400
        state = (parts.BAD, "expired") if left < 0 else (parts.GOOD, "valid")
        # Caddy's own CA gives certificates for hours, and renews them by itself.
        if 0 <= left < SOON_DAYS < (one.not_valid_after_utc - one.not_valid_before_utc).days:
            state = (parts.BUSY, "ends soon")
        until = f"{one.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
        rows.append((name, url, parts.mark(*state), until, one.issuer.rfc4514_string()))
    if not rows:
        return parts.empty("No front door", "A host whose inventory has no fault has one after install.")
    return parts.joined(
        [
            parts.heading("Certificates"),
            parts.table(("Host", "Front door", "State", "Until", "Issuer"), rows, label="Certificates"),
        ]
    )


def _certificate(url: str) -> Any:
    """The certificate, or why there is none. Not verified: its dates are wanted even if it has expired."""
    at = urlsplit(url)
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        with (
            socket.create_connection((at.hostname or "", at.port or 443), SECONDS) as plain,
            context.wrap_socket(plain, server_hostname=at.hostname) as secure,
        ):
            return x509.load_der_x509_certificate(secure.getpeercert(True) or b"")
    except (OSError, ValueError) as error:
        return " ".join(str(error).split()) or type(error).__name__


def settings(snapshot: Snapshot, fields: Mapping[str, Field], names: Iterable[str]) -> Markup:
    """Every variable with its value and where it is written, host by host where hosts differ."""
    rows = []
    for name in names:
        by_value: dict[str, list[str]] = {}
        for host, of in snapshot.hosts.items():
            shown = inline(masked(of.given[name], name)) if name in of.given else ""
            by_value.setdefault(shown, []).append(host)
        for shown, hosts in by_value.items():
            default = fields[name].default
            words = shown or ("-" if default is None else inline(default))
            state = parts.mark(parts.GOOD, "set") if shown else parts.mark(parts.IDLE, "default")
            code = Markup("<code>{}</code>")
            meaning = parts.text(fields[name].help, 140)
            rows.append((code.format(name), state, code.format(parts.text(words, 120)), ", ".join(hosts), meaning))
    return parts.joined(
        [
            parts.heading("All settings"),
            parts.table(("Setting", "", "Value", "Hosts", "Meaning"), rows, label="Settings"),
        ]
    )
