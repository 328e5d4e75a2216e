"""Checks whether the PostgreSQL image can read the host's data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.preflight import linux
from ansible_collections.inference.fleet.plugins.module_utils.preflight.postgres_data import (
    DatabaseFacts,
    database_checks,
)
from ansible_collections.inference.fleet.tests.unit.samples import fleet

DIGEST = "postgres@sha256:" + "0" * 64
OTHER = (
    "fleet_images.postgres: {image} is PostgreSQL 16, and the volume fleet-postgres has data of 15, "
    "which it cannot read"
)


def reported(image: str, data: str | None = "15", says: str | None = None, volume: str = "fleet-postgres") -> list[str]:
    wanted = fleet(images={"postgres": image}, postgres={"volume": volume})
    return [f"{check.state} {check}" for check in database_checks(wanted, DatabaseFacts(data, says))]


@pytest.mark.parametrize(
    "image", ["postgres:15", "postgres:15.19-alpine", "registry:5000/a/postgres:15.2", "docker.io/postgres:15"]
)
def test_the_same_major_version_is_good(image: str) -> None:
    assert reported(image) == ["ok postgres: the data and the image have major version 15"]


@pytest.mark.parametrize(
    "image", ["postgres:16", "postgres:16.3-bookworm", "registry:15/postgres:16", "postgres:16@sha256:" + "1" * 64]
)
def test_another_one_by_its_tag_is_a_fault_with_the_way_to_it(image: str) -> None:
    (fault,) = reported(image)
    assert fault.startswith("fault " + OTHER.format(image=image))
    assert fault.endswith(
        "to change versions without loss, run the playbook backup, set fleet_postgres.volume to a new name "
        "(fleet-postgres-16), and run restore_backup; the previous volume stays"
    )


def test_an_older_one_is_a_fault_too() -> None:
    assert "is PostgreSQL 14, and the volume fleet-postgres has data of 15" in reported("postgres:14.2")[0]


def test_what_the_image_says_of_itself_goes_before_its_tag() -> None:
    assert reported("example/postgres:2.17-pg15", says="15")[0].startswith("ok ")
    assert reported("example/postgres:15", says="16")[0].startswith(
        "fault " + OTHER.format(image="example/postgres:15")
    )
    assert reported(DIGEST, says="15")[0].startswith("ok ")


@pytest.mark.parametrize("image", ["postgres:latest", DIGEST, "registry:5000/postgres:stable"])
def test_an_image_that_does_not_tell_is_a_fault_where_there_is_data(image: str) -> None:
    assert reported(image) == [
        f"fault fleet_images.postgres: the major version of {image} is not known, and the volume fleet-postgres "
        f"has data of PostgreSQL 15; pull it on the host first, or use a tag that begins with the version, such as "
        f"postgres:15"
    ]


@pytest.mark.parametrize("image", ["postgres:16", "postgres:latest", DIGEST])
def test_where_there_is_no_data_any_image_known_here_will_do(image: str) -> None:
    assert reported(image, data=None, volume="fleet-postgres-16") == []


@pytest.mark.parametrize("data", [None, "15", "18"])
def test_a_version_that_keeps_its_data_elsewhere_is_refused(data: str | None) -> None:
    assert reported("postgres:18.1", data) == [
        "fault fleet_images.postgres: postgres:18.1 is PostgreSQL 18; 17 is the newest supported version"
    ]


# What is seen of it on a host


def seen(monkeypatch: pytest.MonkeyPatch, answers: dict[str, Any], image: str = "example/postgres:15") -> DatabaseFacts:
    monkeypatch.setattr(linux, "ask", answers.get)
    return linux._database(fleet(images={"postgres": image}))


def test_the_data_tells_its_version_in_the_volume_and_the_image_in_its_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "PG_VERSION").write_text("15\n")
    answers = {
        "/volumes/fleet-postgres": {"Mountpoint": str(tmp_path)},
        "/images/example/postgres:15/json": {"Config": {"Env": ["PATH=/bin", "PG_MAJOR=16"]}},
    }
    assert seen(monkeypatch, answers) == DatabaseFacts("15", "16")


def test_a_version_that_links_to_the_host_is_not_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The server in its container can write the volume."""
    (tmp_path / "data").mkdir()
    (tmp_path / "shadow").write_text("root:$6$")
    (tmp_path / "data/PG_VERSION").symlink_to(tmp_path / "shadow")
    answers = {"/volumes/fleet-postgres": {"Mountpoint": str(tmp_path / "data")}}
    assert seen(monkeypatch, answers) == DatabaseFacts()


@pytest.mark.parametrize("image", [None, {}, {"Config": {}}, {"Config": {"Env": None}}, {"Config": {"Env": ["X=1"]}}])
def test_nothing_is_known_where_nothing_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, image: Any) -> None:
    """An interrupted first start, no volume, and an image without a version."""
    for volume in (None, {"Mountpoint": str(tmp_path)}):
        answers = {"/volumes/fleet-postgres": volume, "/images/example/postgres:15/json": image}
        assert seen(monkeypatch, answers) == DatabaseFacts()
