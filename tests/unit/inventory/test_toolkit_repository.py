"""`fleet_toolkit_repository`: where apt finds the NVIDIA Container Toolkit."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import AptRepository, Fleet
from ansible_collections.inference.fleet.tests.unit.samples import faults, fleet

KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBFnfhKs\n-----END PGP PUBLIC KEY BLOCK-----"


def test_nvidias_own_is_added_unless_the_inventory_says_otherwise() -> None:
    assert fleet().toolkit_repository == AptRepository(
        "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)",
        "https://nvidia.github.io/libnvidia-container/gpgkey",
    )


@pytest.mark.parametrize(
    ("given", "url", "key"),
    [
        ({}, None, None),
        ({"url": "https://mirror.example.com/deb"}, "https://mirror.example.com/deb", None),
        ({"url": "file:/srv/mirror", "key": KEY}, "file:/srv/mirror", KEY),
    ],
)
def test_a_site_names_its_mirror_or_none(given: dict[str, Any], url: str | None, key: str | None) -> None:
    assert fleet(toolkit_repository=given).toolkit_repository == AptRepository(url, key)


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"key": "https://x/key"}, ".url: missing; a key alone names no repository"),
        ({"url": "mirror.example.com"}, ".url: expected the URL of a package repository, got 'mirror.example.com'"),
        (
            {"url": "https://x/", "key": "/etc/key.asc"},
            ".key: expected the URL or the text of a key, got '/etc/key.asc'",
        ),
        ({"uri": "https://x/"}, ".uri: unknown key; did you mean 'url'?"),
        ("none", ": expected a mapping, got 'none'"),
    ],
)
def test_what_is_no_repository_is_told_with_its_path(given: Any, fault: str) -> None:
    assert faults(Fleet.parse, {"fleet_toolkit_repository": given}) == [f"fleet_toolkit_repository{fault}"]


def test_the_role_sees_it_in_the_fact() -> None:
    assert fleet(toolkit_repository={}).public()["toolkit_repository"] == {"url": None, "key": None}
