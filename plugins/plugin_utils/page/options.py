# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The variables `page_…` of the role `page`: checked, and the part of the page's settings that they are. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError, nearest, show

MAY = ("change", "look")
SHORTEST = 8  # characters of a password
OIDC = {"issuer": "", "client_id": "", "client_secret": "", "name_claim": "preferred_username"}
PATHS = ("inventory", "folder", "certificate", "private_key")


@dataclass(frozen=True)
class Options:
    """settings: of the page, without secrets; `users` has what each may do. users: None if none are given."""

    settings: Mapping[str, Any]
    users: Mapping[str, str] | None = None
    passwords: Mapping[str, str] = field(default_factory=dict)
    oidc: Mapping[str, str] | None = None

    @classmethod
    def parse(cls, given: Mapping[str, Any]) -> Options:
        """given: without the prefix `page_`; empty values are as none. Raises FleetError with all faults."""
        users, oidc = given.get("users"), given.get("oidc") or None
        faults = [*_path_faults(given), *_port_faults(given.get("port"))]
        faults += [*_user_faults(users or {}), *_oidc_faults(oidc or {})]
        faults += [] if faults else _exposure_faults(given, users or {}, oidc)
        if faults:
            raise FleetError(*faults)
        settings = {name: given.get(name) or None for name in PATHS}
        return cls(
            settings={**settings, "address": given["address"], "port": int(given["port"])},
            users={name: user["may"] for name, user in users.items()} if users else None,
            passwords={name: user["password"] for name, user in (users or {}).items() if user.get("password")},
            oidc={key: oidc.get(key, default) for key, default in OIDC.items()} if oidc else None,
        )


def _path_faults(given: Mapping[str, Any]) -> Iterator[str]:
    for name in PATHS:
        path = given.get(name)
        if path and not (str(path).startswith("/") and str(path).isprintable()):
            yield f"page_{name}: expected an absolute path, got {show(path)}"
    if bool(given.get("certificate")) != bool(given.get("private_key")):
        yield "page_certificate and page_private_key: expected both or none of them"


def _port_faults(port: Any) -> Iterator[str]:
    if not re.fullmatch(r"\d{1,5}", str(port)) or not 1024 <= int(port) <= 65535:
        yield f"page_port: expected a number from 1024 to 65535, since the page has no rights of root, got {show(port)}"


def _user_faults(users: Any) -> Iterator[str]:
    if not isinstance(users, Mapping):
        yield f"page_users: expected a mapping of names, such as {{alice: {{may: change}}}}, got {show(users, True)}"
        return
    for name, user in users.items():
        where = f"page_users.{name}"
        if not isinstance(name, str) or not name.isprintable():
            yield f"page_users: expected names as text, got {show(name)}"
        elif not isinstance(user, Mapping) or "may" not in user:
            yield f"{where}: expected a mapping with may, such as {{may: look}}, got {show(user, True)}"
        else:
            if user["may"] not in MAY:
                yield f"{where}.may: expected {' or '.join(MAY)}, got {show(user['may'])}"
            for key in user.keys() - {"may", "password"}:
                yield f"{where}: unknown key {key!r}{nearest(key, ('may', 'password'))}"
            password = user.get("password")
            if password is not None and (not isinstance(password, str) or len(password) < SHORTEST):
                yield f"{where}.password: expected text of at least {SHORTEST} characters"


def _oidc_faults(oidc: Any) -> Iterator[str]:
    if not isinstance(oidc, Mapping):
        yield f"page_oidc: expected a mapping, got {show(oidc, True)}"
        return
    for key in oidc.keys() - OIDC:
        yield f"page_oidc: unknown key {key!r}{nearest(key, OIDC)}"
    for key, default in OIDC.items():
        if oidc and not (isinstance(oidc.get(key, default), str) and oidc.get(key, default)):
            yield f"page_oidc.{key}: expected text"
    if oidc and not str(oidc.get("issuer", "")).startswith("https://"):
        yield f"page_oidc.issuer: expected a URL that begins with https://, got {show(oidc.get('issuer'))}"


def _exposure_faults(given: Mapping[str, Any], users: Mapping[str, Any], oidc: Any) -> Iterator[str]:
    address = given.get("address")
    try:
        if address == "localhost" or ipaddress.ip_address(str(address)).is_loopback:
            return
    except ValueError:
        yield f"page_address: expected an IP address of this machine, got {show(address)}"
        return
    why = f"page_address: other machines reach {address}, so"
    if not oidc and not any(user.get("password") for user in users.values()):
        yield f"{why} a login is needed: page_users with passwords, or page_oidc"
    if not given.get("certificate"):
        yield f"{why} TLS is needed: page_certificate and page_private_key, the paths of files in PEM"
