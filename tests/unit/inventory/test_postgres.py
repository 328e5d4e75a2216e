"""`fleet_postgres` and `fleet_backup`."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.postgres import Backup, Postgres
from ansible_collections.inference.fleet.tests.unit.samples import faults, fleet


def test_defaults() -> None:
    assert fleet().postgres == Postgres("fleet-postgres")
    assert fleet().backup == Backup(".fleet-backups", 14, True, 100)


def test_is_taken_as_given() -> None:
    given = fleet(
        postgres={"volume": "fleet-postgres-16"},
        backup={"folder": "/srv/backups", "keep": 1, "spend_logs": False, "max_mb": 5},
    )
    assert (given.postgres.volume, given.backup) == ("fleet-postgres-16", Backup("/srv/backups", 1, False, 5))
    assert given.public()["postgres"] == {"volume": "fleet-postgres-16"}


@pytest.mark.parametrize("volume", ["/srv/data", "a b", "-x", "x", "a:b", 16])
def test_a_volume_is_a_name(volume: Any) -> None:
    (fault,) = faults(Postgres.parse, {"volume": volume}, "fleet_postgres")
    assert fault.startswith("fleet_postgres.volume: expected the name of a Docker volume")


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"keep": 0}, "fleet_backup.keep: expected a whole number of at least 1, got 0"),
        ({"keep": "all"}, "fleet_backup.keep: expected a whole number of at least 1, got 'all'"),
        ({"folder": ""}, "fleet_backup.folder: expected a line of text, got ''"),
        (
            {"spend_logs": "no"},
            "fleet_backup.spend_logs: expected true or false, got 'no', which is text: leave the quotes out",
        ),
        ({"max_mb": 0}, "fleet_backup.max_mb: expected a whole number of at least 1, got 0"),
        ({"foldr": "x"}, "fleet_backup.foldr: unknown key; did you mean 'folder'?"),
    ],
)
def test_refuses_what_it_cannot_do(given: dict[str, Any], fault: str) -> None:
    assert faults(Backup.parse, given, "fleet_backup") == [fault]
