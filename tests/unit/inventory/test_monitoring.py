"""`fleet_monitoring.oidc`: the sign-in to Grafana."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.inference.fleet.tests.unit.samples import faults, fleet

OIDC: dict[str, Any] = {
    "client_id": "grafana",
    "auth_url": "https://id.example.com/auth",
    "token_url": "https://id.example.com/token",
    "api_url": "https://id.example.com/userinfo",
}


def settings(**changes: Any) -> dict[str, str]:
    """Grafana's settings, by their name in its section auth.generic_oauth."""
    found = fleet(monitoring={"oidc": {**OIDC, **changes}}).public()["monitoring"]["sign_in"]
    return {name.removeprefix("GF_AUTH_GENERIC_OAUTH_").lower(): value for name, value in found.items()}


def test_without_it_grafana_has_its_own_users_alone() -> None:
    assert fleet(monitoring=True).public()["monitoring"]["sign_in"] == {}


def test_with_it_users_begin_as_viewers_and_grafana_keeps_their_roles() -> None:
    found = settings()
    assert {name: found[name] for name in OIDC} == OIDC
    assert (found["enabled"], found["use_pkce"], found["scopes"]) == ("true", "true", "openid profile email")
    assert (found["role_attribute_path"], found["role_attribute_strict"], found["skip_org_role_sync"]) == (
        *("", "false", "true"),
    )


def test_roles_of_the_identity_provider_are_needed_where_they_are_asked_for() -> None:
    found = settings(role_path="contains(groups[*], 'admins') && 'Admin'")
    assert found["role_attribute_path"] == "contains(groups[*], 'admins') && 'Admin'"
    assert (found["role_attribute_strict"], found["skip_org_role_sync"]) == ("true", "false")


def test_groups_may_have_blanks_in_their_names() -> None:
    found = settings(groups=["GPU team", "ops"], domains=["example.com", "example.org"], groups_path="roles")
    assert json.loads(found["allowed_groups"]) == ["GPU team", "ops"]
    assert (found["groups_attribute_path"], found["allowed_domains"]) == ("roles", "example.com example.org")


def test_all_settings_are_text_for_docker() -> None:
    assert {type(value) for value in settings(groups=["a"]).values()} == {str}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"client_id": None}, "client_id: missing; expected a line of text"),
        ({"auth_url": None}, "auth_url: missing; expected an https URL of the identity provider"),
        ({"token_url": "http://id.example.com/token"}, "token_url: expected an https URL of the identity provider"),
        ({"api_url": "https://me:pw@id.example.com/"}, "api_url: expected an https URL of the identity provider"),
        ({"auth_url": "https://id.example.com/a\nGF_X=1"}, "auth_url: expected an https URL of the identity provider"),
        ({"client_secret": "0123456789"}, "client_secret: unknown key"),
        ({"groups": "ops"}, "groups: expected a list, got 'ops'"),
        ({"name": "a\nb"}, "name: expected a line of text"),
    ],
)
def test_faults(changes: dict[str, Any], fault: str) -> None:
    (found,) = faults(lambda: fleet(monitoring={"oidc": {**OIDC, **changes}}))
    assert found.startswith(f"fleet_monitoring.oidc.{fault}")
