"""The settings of the service: what the role writes, and nothing that opens the page to everybody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from fleet_page.settings import Settings, User, is_loopback

GIVEN: dict[str, Any] = {
    "inventory": "/srv/inventory",
    "folder": "/var/lib/x",
    "runtime": "/run/x",
    "address": "127.0.0.1",
    "port": 7860,
    "certificate": None,
    "private_key": None,
    "users": {"alice": {"may": "change", "password": None}},
    "oidc": None,
    "program": "/opt/x/ansible-playbook",
    "ansible_config": "/opt/x/ansible.cfg",
}
TLS = {"certificate": "/x.pem", "private_key": "/x.key"}
LOGIN = {"users": {"alice": {"may": "look", "password": "scrypt$x"}}}
OIDC = {"oidc": {"issuer": "https://x", "client_id": "x", "client_secret": "y"}}


def test_reads_what_the_role_writes(tmp_path: Path) -> None:
    file = tmp_path / "settings.json"
    file.write_text(json.dumps(GIVEN))
    found = Settings.read(file)
    assert (found.inventory, found.port, found.users) == (Path("/srv/inventory"), 7860, {"alice": User("change")})
    assert found.on_loopback and not found.logs_in


@pytest.mark.parametrize("more", [{**TLS, **LOGIN}, {**TLS, **OIDC}])
def test_another_address_needs_a_login_and_tls(more: dict[str, Any]) -> None:
    assert Settings.parse({**GIVEN, "address": "0.0.0.0", **more}).logs_in


@pytest.mark.parametrize(
    "address", ["0.0.0.0", "::", "192.0.2.1", "gpu1.example.com", "", "127.0.0.1.example", "::ffff:127.0.0.1x"]
)
@pytest.mark.parametrize("more", [{}, TLS, LOGIN, OIDC, {**LOGIN, "certificate": "/x.pem"}])
def test_another_address_is_refused_without(address: str, more: dict[str, Any]) -> None:
    with pytest.raises(FleetError, match="is no loopback address"):
        Settings.parse({**GIVEN, "address": address, **more})


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_loopback_addresses_need_none(address: str) -> None:
    assert is_loopback(address) and Settings.parse({**GIVEN, "address": address}).on_loopback


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"inventory": ""}, "inventory: expected a path"),
        ({"program": None}, "program: expected a path"),
        ({"port": "x"}, "port: expected a number"),
        ({"port": 0}, "port: expected a number"),
        ({"port": True}, "port: expected a number"),
        ({"users": ["alice"]}, "users: expected a mapping"),
        ({"users": {"alice": None}}, "users.alice.may: expected change or look"),
        ({"users": {"alice": {"may": "all"}}}, "users.alice.may: expected change or look"),
    ],
)
def test_says_what_is_wrong(more: dict[str, Any], words: str) -> None:
    with pytest.raises(FleetError) as caught:
        Settings.parse({**GIVEN, **more})
    assert caught.value.faults[0].startswith(words)


@pytest.mark.parametrize("text", [None, "", "[]", "{", '"x"'])
def test_a_broken_file_names_the_playbook(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "settings.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(FleetError, match="run the playbook page again"):
        Settings.read(file)
