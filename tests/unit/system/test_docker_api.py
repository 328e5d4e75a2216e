# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The version of the Engine API is one that both the engine and the collection know."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.docker_api import api_version
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError


@pytest.mark.parametrize(
    ("release", "lowest", "highest", "chosen"),
    [
        ("20.10.24+dfsg1", "1.12", "1.41", "1.41"),  # Debian 12
        ("26.1.5+dfsg1", "1.24", "1.45", "1.41"),  # Debian 13
        ("28.5.2", "1.24", "1.51", "1.41"),
        ("29.1.3", "1.44", "1.52", "1.44"),
        ("29.4.0", "1.40", "1.54", "1.41"),
        ("30.0.0", "1.52", "1.60", "1.52"),
    ],
)
def test_is_the_oldest_that_both_accept(release: str, lowest: str, highest: str, chosen: str) -> None:
    assert api_version({"Version": release, "MinAPIVersion": lowest, "ApiVersion": highest}) == chosen


@pytest.mark.parametrize(("engine", "chosen"), [({"ApiVersion": "1.47"}, "1.41"), ({"MinAPIVersion": "1.44"}, "1.44")])
def test_an_engine_that_says_half_is_asked_for_what_fits(engine: dict[str, Any], chosen: str) -> None:
    assert api_version(engine) == chosen


@pytest.mark.parametrize("engine", [{}, {"ApiVersion": None}, {"ApiVersion": "1.41", "MinAPIVersion": "?"}])
def test_an_engine_that_does_not_say_is_taken_for_the_oldest(engine: dict[str, Any]) -> None:
    assert api_version(engine) == "1.41"


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (
            {"Version": "19.03.15", "MinAPIVersion": "1.12", "ApiVersion": "1.40"},
            "Docker Engine 19.03.15 accepts the API 1.12 to 1.40, expected one of 1.41 to 1.52; Docker Engine 20.10 or "
            "later is needed: upgrade it",
        ),
        (
            {"Version": "19.03.15", "ApiVersion": "1.40"},
            "Docker Engine 19.03.15 accepts the API up to 1.40, expected one of 1.41 to 1.52; Docker Engine 20.10 or "
            "later is needed: upgrade it",
        ),
        (
            {"Version": "40.0.0", "MinAPIVersion": "1.53"},
            "Docker Engine 40.0.0 accepts the API from 1.53 on, expected one of 1.41 to 1.52; upgrade the collection",
        ),
        (
            {"Version": "40.0.0", "MinAPIVersion": "1.53", "ApiVersion": "1.70"},
            "Docker Engine 40.0.0 accepts the API 1.53 to 1.70, expected one of 1.41 to 1.52; upgrade the collection",
        ),
    ],
)
def test_refuses_an_engine_without_a_common_version(engine: dict[str, Any], message: str) -> None:
    with pytest.raises(FleetError) as error:
        api_version(engine)
    assert str(error.value) == message
