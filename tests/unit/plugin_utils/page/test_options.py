"""The variables of the role `page`: what is refused, before anything is changed, and in which words."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.page.options import Options

GIVEN: dict[str, Any] = {
    "inventory": "/srv/inventory",
    "folder": "/var/lib/page",
    "address": "127.0.0.1",
    "port": 7860,
    "certificate": "",
    "private_key": "",
    "users": {},
    "oidc": {},
}
TLS = {"certificate": "/etc/ssl/page.crt", "private_key": "/etc/ssl/page.key"}
ALICE = {"alice": {"may": "change", "password": "correct horse"}}
OIDC = {"issuer": "https://id.example.com", "client_id": "page", "client_secret": "s3cret"}


def faults(**given: Any) -> list[str]:
    with pytest.raises(FleetError) as caught:
        Options.parse({**GIVEN, **given})
    return list(caught.value.faults)


def test_the_settings_have_no_secret() -> None:
    users = {**ALICE, "bob": {"may": "look"}}
    options = Options.parse({**GIVEN, **TLS, "address": "0.0.0.0", "users": users, "oidc": OIDC})
    assert options.settings == {
        "inventory": "/srv/inventory",
        "folder": "/var/lib/page",
        **TLS,
        "address": "0.0.0.0",
        "port": 7860,
    }
    assert options.users == {"alice": "change", "bob": "look"}
    assert options.passwords == {"alice": "correct horse"}
    assert options.oidc == {**OIDC, "name_claim": "preferred_username"}


def test_on_loopback_nothing_more_is_needed() -> None:
    for address in ("127.0.0.1", "::1", "localhost", "127.1.2.3"):
        assert Options.parse({**GIVEN, "address": address}).users is None


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.0.2.7"])
def test_another_address_needs_a_login_and_tls(address: str) -> None:
    login, tls = faults(address=address)
    assert login == (
        f"page_address: other machines reach {address}, so a login is needed: page_users with passwords, or page_oidc"
    )
    assert "so TLS is needed" in tls
    assert faults(address=address, **TLS) == [login]
    assert faults(address=address, **TLS, users={"alice": {"may": "change"}}) == [login]
    assert faults(address=address, users=ALICE) == [tls]
    for user in ({"users": ALICE}, {"oidc": OIDC}):
        assert Options.parse({**GIVEN, **TLS, "address": address, **user})


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        (
            {"address": "page.example.com"},
            "page_address: expected an IP address of this machine, got",
        ),
        (
            {"port": 443},
            "page_port: expected a number from 1024 to 65535, since",
        ),
        ({"port": "http"}, "page_port: expected a number from 1024"),
        ({"folder": "history"}, "page_folder: expected an absolute path, got 'history'"),
        ({"folder": "/srv/a\nb"}, "page_folder: expected an absolute path"),
        ({"certificate": "/a.crt"}, "page_certificate and page_private_key: expected both or none of them"),
        ({"users": ["alice"]}, "page_users: expected a mapping of names"),
        ({"users": {7: {"may": "look"}}}, "page_users: expected names as text, got 7"),
        (
            {"users": {"alice": "change"}},
            "page_users.alice: expected a mapping with may, such as {may: look}",
        ),
        ({"users": {"alice": {"may": "all"}}}, "page_users.alice.may: expected change or look, got 'all'"),
        (
            {"users": {"alice": {"may": "look", "pasword": "x"}}},
            "page_users.alice: unknown key 'pasword'; did you mean 'password'?",
        ),
        (
            {"users": {"alice": {"may": "look", "password": "short"}}},
            "page_users.alice.password: expected text of at least 8 characters",
        ),
        ({"oidc": {**OIDC, "client_id": ""}}, "page_oidc.client_id: expected text"),
        ({"oidc": {**OIDC, "issuer": "http://id"}}, "page_oidc.issuer: expected a URL that begins with https://"),
        ({"oidc": {**OIDC, "isuer": "x"}}, "page_oidc: unknown key 'isuer'; did you mean 'issuer'?"),
    ],
)
def test_names_what_it_refuses(given: dict[str, Any], fault: str) -> None:
    (found,) = faults(**given)
    assert found.startswith(fault)


def test_a_password_is_in_no_fault() -> None:
    users = {"alice": "s3cret-password", "bob": {"may": "look", "password": "s3cret"}}
    assert "s3cret" not in "".join(faults(users=users))


def test_all_faults_are_reported_at_once() -> None:
    assert len(faults(port=1, folder="a", users={"alice": {"may": "all"}})) == 3
