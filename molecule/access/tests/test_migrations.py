"""Migrations of another LiteLLM image: a backup first, then side by side if they only add, else stop and start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lab.fixtures import Admin, Door, identities
from lab.load import Load, Stream
from testinfra.host import Host

IMAGE = "inference-fleet/litellm"
FOLDER = "/opt/venv/lib/python3.11/site-packages/litellm_proxy_extras/migrations"
ADDS, CHANGES = "20990101000000_adds", "20990102000000_changes"
TABLE = 'ALTER TABLE "LiteLLM_VerificationToken"'
SQL = {
    ADDS: f'{TABLE} ADD COLUMN "lab" TEXT;',
    CHANGES: f'{TABLE} ALTER COLUMN "lab" SET DATA TYPE VARCHAR(99);',
}
COLUMN = "SELECT data_type FROM information_schema.columns WHERE column_name = 'lab'"
COPY = "litellm_before_migrations"


def psql(host: Host, sql: str, database: str = "litellm") -> str:
    command = f"docker exec -i postgres psql -U fleet_admin -d {database} -qAt -v ON_ERROR_STOP=1"
    return host.check_output(f"{command} <<'END'\n{sql}\nEND")


@pytest.fixture(scope="module", autouse=True)
def images(host: Host, admin: Admin) -> Iterator[None]:
    """Images of LiteLLM with one more migration, and with two. At the end, the host is as it was."""
    tag = host.ansible.get_variables()["fleet_images"]["litellm"]
    for name, sql in SQL.items():
        host.check_output(
            f"docker create --name lab-image {tag} && mkdir -p /tmp/lab/{name} && "
            f"cat > /tmp/lab/{name}/migration.sql <<'END'\n{sql}\nEND\n"
        )
        tag = f"{IMAGE}:{name.rpartition('_')[2]}"
        host.check_output(
            f"docker cp /tmp/lab/{name} lab-image:{FOLDER} && docker commit lab-image {tag} && docker rm lab-image"
        )
    yield
    assert admin.play("install").status == 0
    psql(
        host, f"{TABLE} DROP COLUMN IF EXISTS \"lab\"; DELETE FROM _prisma_migrations WHERE migration_name LIKE '2099%'"
    )
    psql(host, f"DROP DATABASE IF EXISTS {COPY}")
    host.check_output(f"docker rmi {IMAGE}:adds {IMAGE}:changes && rm -r /tmp/lab")


def settings(host: Host, tag: str, **more: Any) -> dict[str, Any]:
    return {"fleet_images": {**host.ansible.get_variables()["fleet_images"], "litellm": f"{IMAGE}:{tag}"}, **more}


def changed(admin: Admin, door: Door, host: Host, key: str, variables: dict[str, Any]) -> str:
    """The output of an install under load that loses no request and changes LiteLLM alone."""
    before = identities(host)
    with Load(door.url, str(door.certificate), Stream("/v1", "/v1/chat/completions", "pair", key, 3)) as load:
        load.wait_for(3)
        run = admin.play("install", variables=variables)
        load.wait_for(3)
    print(load.summary())
    assert run.status == 0, run.output
    assert load.failed() == []
    assert {name for name, one in identities(host).items() if before.get(name) != one} == {"litellm"}
    return run.output


@pytest.mark.extended
def test_migrations_that_only_add_are_applied_beside_the_litellm_that_serves_after_a_copy_of_the_database(
    admin: Admin, door: Door, host: Host, virtual_key: str
) -> None:
    output = changed(admin, door, host, virtual_key, settings(host, "adds"))
    assert f"the database lacks migrations of the new image (number: 1, first: {ADDS})" in output
    assert f"the database {COPY}" in output
    assert "litellm: a second container takes over; no request waits" in output
    assert psql(host, COLUMN) == "text"
    assert psql(host, COLUMN, COPY) == ""
    keys = 'SELECT count(*) FROM "LiteLLM_VerificationToken"'
    assert psql(host, keys, COPY) == psql(host, keys) != "0"
    again = admin.play("install", variables=settings(host, "adds"))
    assert again.changed() == {"gate": 0}, again.output


@pytest.mark.extended
def test_for_migrations_that_change_what_exists_litellm_stops_after_a_backup_file_and_the_run_says_for_how_long(
    admin: Admin, door: Door, host: Host, virtual_key: str, tmp_path: Path
) -> None:
    (tmp_path / "password").write_text("correct horse\n")
    backup = {"fleet_backup": {"folder": str(tmp_path / "backups")}}
    variables = settings(host, "changes", **backup, fleet_backup_vault_password_file=str(tmp_path / "password"))
    output = changed(admin, door, host, virtual_key, variables)
    (file,) = (tmp_path / "backups").iterdir()
    assert str(file) in output
    assert "litellm: stops and starts again, and requests wait for about" in output
    assert f"s (its last start took that long): the image's migration {CHANGES} may change what exists" in output
    assert psql(host, COLUMN) == "character varying"


@pytest.mark.extended
def test_the_previous_image_has_no_migration_to_apply_and_takes_over(
    admin: Admin, door: Door, host: Host, virtual_key: str
) -> None:
    output = changed(admin, door, host, virtual_key, {})
    assert "litellm: a second container takes over; no request waits" in output
    assert "the database lacks migrations" not in output
    assert door.chat("pair", key=virtual_key).status_code == 200
