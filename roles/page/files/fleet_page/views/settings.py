# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Certificates of the front doors, and the settings of every host."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

from ansible_collections.inference.fleet.plugins.plugin_utils.page.fields import Field
from ansible_collections.inference.fleet.plugins.plugin_utils.page.yaml_text import inline
from cryptography import x509

from fleet_page.edits import Snapshot
from fleet_page.hidden import masked
from fleet_page.views import parts
from fleet_page.views.parts import Markup

SOON_DAYS = 14


def certificates(found: Mapping[str, tuple[str, x509.Certificate | str]]) -> Markup:
    """found: host -> the URL of its front door, and the certificate or why it was not read."""
    rows = []
    for name, (url, one) in found.items():
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
