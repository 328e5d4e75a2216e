"""`fleet_toolkit_repository`: where apt finds the NVIDIA Container Toolkit."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import AptRepository, Fleet
from ansible_collections.inference.fleet.tests.unit.samples import faults, fleet

NVIDIA = ("C95B321B61E88C1809C4F759DDCAE044F796ECB0",)
OWN = "a15d ec9c d530 bf88 7f79  2007 fe0a 20ca a357 d8a9"
PLAIN = "A15DEC9CD530BF887F792007FE0A20CAA357D8A9"
KEY = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQINBFnfhKs\n-----END PGP PUBLIC KEY BLOCK-----"


def test_nvidias_own_is_added_unless_the_inventory_says_otherwise() -> None:
    assert fleet().toolkit_repository == AptRepository(
        "https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH)",
        "https://nvidia.github.io/libnvidia-container/gpgkey",
        NVIDIA,
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, AptRepository(None, None, ())),
        ({"url": "https://mirror.example.com/deb"}, AptRepository("https://mirror.example.com/deb", None, ())),
        ({"url": "file:/srv/mirror", "key": KEY}, AptRepository("file:/srv/mirror", KEY, ())),
        ({"url": "file:/srv/a", "key": KEY, "fingerprints": [OWN]}, AptRepository("file:/srv/a", KEY, (PLAIN,))),
        # The key comes over the network, so only a fingerprint says whose it is.
        ({"url": "https://m/", "key": "https://m/key"}, AptRepository("https://m/", "https://m/key", NVIDIA)),
        ({"url": "https://m/", "key": "http://m/key"}, AptRepository("https://m/", "http://m/key", NVIDIA)),
        (
            {"url": "https://m/", "key": "https://m/key", "fingerprints": [OWN, "0" * 64]},
            AptRepository("https://m/", "https://m/key", (PLAIN, "0" * 64)),
        ),
    ],
)
def test_a_site_names_its_mirror_or_none(given: dict[str, Any], expected: AptRepository) -> None:
    assert fleet(toolkit_repository=given).toolkit_repository == expected


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"key": "https://x/key"}, ".url: missing; a key alone names no repository"),
        ({"url": "mirror.example.com"}, ".url: expected the URL of a package repository, got 'mirror.example.com'"),
        (
            {"url": "https://x/", "key": "/etc/key.asc"},
            ".key: expected the URL or the text of a key, got '/etc/key.asc'",
        ),
        (
            {"url": "https://x/", "key": "https://x/k", "fingerprints": ["DDCAE044F796ECB0"]},
            ".fingerprints[0]: expected the 40 or 64 hexadecimal digits of a fingerprint, got 'DDCAE044F796ECB0'",
        ),
        (
            {"url": "https://x/", "key": "https://x/k", "fingerprints": [10**39]},
            f".fingerprints[0]: expected the 40 or 64 hexadecimal digits of a fingerprint, got {10**39}",
        ),
        ({"url": "https://x/", "fingerprints": [OWN]}, ".key: missing; the fingerprints are of a key"),
        ({"uri": "https://x/"}, ".uri: unknown key; did you mean 'url'?"),
        ("none", ": expected a mapping, got 'none'"),
    ],
)
def test_what_is_no_repository_is_told_with_its_path(given: Any, fault: str) -> None:
    assert faults(Fleet.parse, {"fleet_toolkit_repository": given}) == [f"fleet_toolkit_repository{fault}"]


def test_the_role_sees_it_in_the_fact() -> None:
    assert fleet(toolkit_repository={}).public()["toolkit_repository"] == {
        "url": None,
        "key": None,
        "fingerprints": (),
    }
