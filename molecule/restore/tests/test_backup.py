"""Backups: whole or not at all, opened by their password alone, and all that a host needs to be itself again."""

from __future__ import annotations

import io
import json
import os
import signal
import stat
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from shlex import quote
from typing import Any

import pytest
import testinfra
import yaml
from lab.fixtures import INVENTORY, SECRETS, Admin, Door, Run, identities
from testinfra.host import Host

testinfra_hosts = ["ansible://fleet"]

PASSWORD = "a vault password"
KEYS = [{"alias": "kept", "models": ["plain"]}, {"alias": "limited", "models": ["plain"], "rpm_limit": 2}]
PG_DUMP = "/usr/lib/postgresql/bin/pg_dump"


class Backups:
    """The two playbooks, with a folder and a password of their own."""

    def __init__(self, admin: Admin, host: Host, folder: Path) -> None:
        self.admin, self.host = admin, host
        self.name = host.backend.host
        self.folder = folder / "backups"
        self.password = folder / "password"
        self.password.write_text(PASSWORD)
        self.other_password = folder / "other"
        self.other_password.write_text("another one")
        self.keys_file = folder / "keys.yml"

    def backup(self, *arguments: str, password: bool = True, **settings: Any) -> Run:
        words = ("--vault-password-file", str(self.password)) if password else ()
        variables = {"fleet_backup": {"folder": str(self.folder), **settings}}
        return self.admin.play("backup", "-vvv", *words, *arguments, variables=variables)

    def restore_command(self, *arguments: str, file: Path, password: Path | None = None, **variables: Any) -> list[str]:
        given = {"file": str(file), "fleet_backup_vault_password_file": str(password or self.password), **variables}
        return self.admin.command("restore_backup", *arguments, variables=given)

    def restore(self, *arguments: str, file: Path, password: Path | None = None, **variables: Any) -> Run:
        given = {"file": str(file), "fleet_backup_vault_password_file": str(password or self.password), **variables}
        run = self.admin.play("restore_backup", "-vvv", *arguments, variables=given)
        self.see_that_nothing_was_shown(run)
        return run

    def make_keys(self, *keys: dict[str, Any]) -> None:
        run = self.admin.play("keys", variables={"fleet_keys": list(keys), "fleet_keys_file": str(self.keys_file)})
        assert run.status == 0, run.output

    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir()) if self.folder.exists() else []

    def newest(self) -> Path:
        return [file for file in self.files() if file.name.startswith(f"{self.name}-")][-1]

    def parts(self, file: Path) -> dict[str, bytes]:
        """What is in a backup, as a person without this collection would get at it."""
        command = ["ansible-vault", "decrypt", "--vault-password-file", str(self.password), "--output", "-", str(file)]
        plain = subprocess.run(command, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(plain)) as tar:
            opened = {member.name: tar.extractfile(member) for member in tar}
            return {name: content.read() for name, content in opened.items() if content}

    def see_that_nothing_was_shown(self, run: Run) -> None:
        master_key = self.host.check_output(f"cat {SECRETS}/master_key")
        assert master_key not in run.output
        assert PASSWORD not in run.output

    def keys(self) -> dict[str, str]:
        values: dict[str, str] = yaml.safe_load(self.keys_file.read_text())
        return values


@pytest.fixture(scope="module")
def backups(admin: Admin, host: Host, tmp_path_factory: pytest.TempPathFactory) -> Backups:
    return Backups(admin, host, tmp_path_factory.mktemp("backups"))


@pytest.fixture(scope="module")
def keys(backups: Backups) -> Iterator[dict[str, str]]:
    """Two virtual keys that were there when the backups were made, by their aliases."""
    backups.make_keys(*KEYS)
    yield backups.keys()
    backups.make_keys(*({"alias": key["alias"], "state": "absent"} for key in KEYS))
    for name in databases(backups.host):
        if name.startswith("litellm_before_"):
            backups.host.check_output(f"docker exec postgres dropdb --username=fleet_admin {name}")


@pytest.fixture(scope="module")
def backup(backups: Backups, keys: dict[str, str]) -> Path:
    """The backup that all restores are from."""
    run = backups.backup()
    assert run.status == 0, run.output
    return backups.newest()


@dataclass(frozen=True)
class Spare:
    """New hardware. words: what makes a run one onto it alone; together: onto it and the host of before."""

    host: Host
    words: tuple[str, ...]
    together: tuple[str, ...]


@pytest.fixture(scope="module")
def spare(tmp_path_factory: pytest.TempPathFactory) -> Spare:
    (host,) = testinfra.get_hosts(["ansible://spares"], ansible_inventory=str(INVENTORY))
    inventory = tmp_path_factory.mktemp("spare") / "inventory.yml"
    inventory.write_text(f"fleet: {{hosts: {{{host.backend.host}: }}}}\n")
    together = ("--inventory", str(inventory))
    return Spare(host, (*together, "--limit", host.backend.host), together)


@pytest.fixture
def uninstalled_after(admin: Admin, spare: Spare) -> Iterator[None]:
    """The new hardware is as new again in the end."""
    yield
    # What somebody put beside the collection's own files is not the collection's to remove.
    spare.host.check_output("mkdir -p /var/lib/inference-fleet/models && touch /var/lib/inference-fleet/models/weights")
    run = admin.play("uninstall", *spare.words)
    assert run.status != 0
    assert "nothing was removed; answer yes, or run again with -e uninstall_confirm=true" in run.messages
    assert "the volume fleet-caddy-data, with Caddy's own CA" in run.messages
    assert spare.host.file("/etc/inference-fleet/config.json").exists
    run = admin.play("uninstall", *spare.words, "-e", "uninstall_confirm=true")
    assert run.status == 0, run.output
    assert "/var/lib/inference-fleet/models" in run.output
    assert spare.host.file("/var/lib/inference-fleet/models/weights").exists
    assert not spare.host.file("/var/lib/inference-fleet/restore.json").exists
    spare.host.check_output("docker volume rm fleet-postgres && rm -r /etc/inference-fleet")


def databases(host: Host) -> list[str]:
    sql = "SELECT datname FROM pg_database WHERE datname LIKE 'litellm%' ORDER BY 1"
    return host.check_output(f'docker exec postgres psql -U litellm -At -c "{sql}"').split()


def contents(host: Host, dump: bytes) -> str:
    """What pg_restore lists of a dump."""
    command = ["docker", "run", "--rm", "--interactive", images(host)["postgres"], "pg_restore", "--list"]
    return subprocess.run(command, input=dump, capture_output=True, check=True).stdout.decode()


def see_that_no_secret_lies_about(host: Host) -> None:
    """In no temporary file, log or folder of Ansible's, on the host or in PostgreSQL's container."""
    for name in ("master_key", "salt_key", "postgres_password"):
        secret = host.check_output(f"cat {SECRETS}/{name}")
        # containerd has the environment of running containers, LiteLLM's too, in root's part of /run, and runc in a
        # file for the instant in which a health check starts.
        places = "--exclude-dir=containerd --exclude='runc-process*' /tmp /var/tmp /run /root /home /var/log /dev/shm"
        assert (
            host.run(f"grep --recursive --files-with-matches --text --fixed-strings -e {secret} {places}").stdout == ""
        )
    assert host.run("find /tmp /var/tmp /run /root /dev/shm -name '*dump*' -o -name '*backup*'").stdout == ""
    assert not host.file("/var/lib/inference-fleet/.database.dump").exists
    left = host.check_output("docker exec postgres find /tmp /var/tmp -type f")
    assert left == ""


def see_that_the_keys_work(door: Door, keys: dict[str, str]) -> None:
    assert door.chat("plain", key=keys["kept"]).status_code == 200
    assert door.chat("whole", key=keys["kept"]).status_code == 404, "it opens a model that it was not made for"
    answers = [door.chat("plain", key=keys["limited"]).status_code for _request in range(4)]
    assert 200 in answers and 429 in answers, "its limit was lost"


# Making one


def test_without_a_password_none_is_written(backups: Backups) -> None:
    run = backups.backup(password=False)
    assert run.status != 0
    assert "never written unencrypted; give fleet_backup_vault_password_file" in run.messages
    assert backups.files() == []


def test_check_mode_says_what_it_would_do(backups: Backups) -> None:
    run = backups.backup("--check")
    assert run.status == 0, run.output
    assert f"{backups.folder}/{backups.name}-" in run.messages
    assert backups.files() == []


def test_is_one_encrypted_file_that_only_its_owner_reads(backups: Backups, backup: Path, keys: dict[str, str]) -> None:
    assert stat.S_IMODE(backup.stat().st_mode) == 0o600
    assert stat.S_IMODE(backups.folder.stat().st_mode) == 0o700
    assert backup.read_bytes().startswith(b"$ANSIBLE_VAULT;1.1;AES256\n")
    assert backups.files() == [backup], "something is left beside it"


def test_ansible_vault_and_tar_open_it_too(backups: Backups, backup: Path) -> None:
    found = backups.parts(backup)
    assert {"manifest.json", "secrets/master_key", "secrets/salt_key", "database.dump"} <= found.keys()
    assert json.loads(found["manifest.json"])["host"] == backups.name


def test_leaves_nothing_secret_behind_and_changes_nothing(backups: Backups, host: Host, backup: Path) -> None:
    before = identities(host)
    run = backups.backup()
    assert run.status == 0, run.output
    backups.see_that_nothing_was_shown(run)
    assert str(backups.newest()) in run.messages and "MB, read back whole" in run.messages
    assert identities(host) == before
    see_that_no_secret_lies_about(host)


@pytest.mark.extended
def test_spend_logs_can_be_left_out(backups: Backups, host: Host, backup: Path) -> None:
    rows = "TABLE DATA public LiteLLM_SpendLogs litellm"
    assert rows in contents(host, backups.parts(backup)["database.dump"])
    run = backups.backup(spend_logs=False)
    assert run.status == 0, run.output
    assert "without spend logs" in run.messages
    without = contents(host, backups.parts(backups.newest())["database.dump"])
    assert rows not in without
    assert "TABLE DATA public LiteLLM_VerificationToken litellm" in without


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param("head --bytes=-3000", marks=pytest.mark.extended),
        "perl -0777 -pe 'substr($_, -9000, 3) = q(???)'",
    ],
)
def test_a_dump_that_the_database_cannot_read_is_no_backup(
    backups: Backups, host: Host, backup: Path, damage: str
) -> None:
    before = backups.files()
    real = host.check_output(f"docker exec postgres realpath {PG_DUMP}")
    wrapper = f'#!/bin/sh\n{real}.real "$@" | {damage}\n'
    host.check_output(f"docker exec postgres mv {real} {real}.real")
    try:
        host.check_output("docker exec postgres sh -c %s", f"printf %s {quote(wrapper)} > {real}; chmod +x {real}")
        run = backups.backup(keep=1)
    finally:
        host.check_output(f"docker exec postgres mv {real}.real {real}")
    assert run.status != 0
    assert f"no backup of {backups.name} was made, and none was removed: pg_restore: " in run.messages
    assert backups.files() == before


def test_spend_logs_above_the_limit_are_left_out_with_a_warning(
    backups: Backups, host: Host, backup: Path, keys: dict[str, str]
) -> None:
    rows = (
        """INSERT INTO "LiteLLM_SpendLogs" (request_id, call_type, api_key, "startTime", "endTime") """
        "SELECT 'filler ' || sha512(n::text::bytea)::text, 'x', 'x', now(), now() FROM generate_series(1, 40000) n"
    )
    psql = "docker exec postgres psql -U litellm -c %s"
    host.check_output(psql, rows)
    try:
        run = backups.backup(max_mb=1)
    finally:
        host.check_output(psql, """DELETE FROM "LiteLLM_SpendLogs" WHERE api_key = 'x'""")
    assert run.status == 0, run.output
    assert f"{backups.newest()} has no spend logs: with them, the dump of the database has more than 1 MB" in run.output
    assert "without spend logs" in run.messages
    tables = contents(host, backups.parts(backups.newest())["database.dump"])
    assert "TABLE DATA public LiteLLM_VerificationToken litellm" in tables
    assert "TABLE DATA public LiteLLM_SpendLogs litellm" not in tables
    see_that_no_secret_lies_about(host)


@pytest.mark.extended
def test_keys_above_the_limit_are_refused_with_the_way_out(backups: Backups, host: Host, backup: Path) -> None:
    filler = "CREATE TABLE filler AS SELECT sha512(n::text::bytea) FROM generate_series(1, 40000) n"
    host.check_output(f'docker exec postgres psql -U litellm -c "{filler}"')
    before = backups.files()
    try:
        run = backups.backup(max_mb=1)
    finally:
        host.check_output("docker exec postgres psql -U litellm -c 'DROP TABLE filler'")
    assert run.status != 0
    assert "more than 1 MB, fleet_backup.max_mb, and that without spend logs; raise max_mb" in run.messages
    assert backups.files() == before


def test_keeps_as_many_as_asked_for_and_those_of_others(backups: Backups, backup: Path, tmp_path: Path) -> None:
    names = [f"{backups.name}-2025010{day}T000000Z.fleet-backup" for day in range(1, 5)]
    others = [f"{backups.name}-2-20250101T000000Z.fleet-backup", f"{backups.name}-20250101T000000Z.txt"]
    kept = len([file for file in backups.files() if file.name.startswith(f"{backups.name}-2026")])
    for name in [*names, *others]:
        (backups.folder / name).write_text("old")
    run = backups.backup(keep=kept + 2)
    assert run.status == 0, run.output
    left = {file.name for file in backups.files()}
    assert left >= {names[3], *others, backup.name}
    assert not left & set(names[:3])
    assert f"removed: {backups.folder / names[0]}" in run.messages
    for name in [names[3], *others]:
        (backups.folder / name).unlink()


# Reading one that will not do: nothing is touched


def cut_off(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-4001])


def cut_off_at_a_line(file: Path) -> None:
    file.write_bytes(b"".join(file.read_bytes().splitlines(keepends=True)[:-7]))


def something_else(file: Path) -> None:
    file.write_text("fleet_schema: 1\n")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (cut_off, "is truncated: its end is missing"),
        (cut_off_at_a_line, "is truncated: its end is missing"),
        (something_else, "is not a backup; a backup is encrypted"),
        (Path.unlink, "No such file or directory"),
    ],
)
def test_refuses_a_file_that_is_no_whole_backup(
    backups: Backups, host: Host, backup: Path, tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    file = tmp_path / "copy"
    file.write_bytes(backup.read_bytes())
    change(file)
    before = identities(host)
    run = backups.restore(file=file)
    assert run.status != 0
    assert f"nothing was touched; {file}: " in run.messages and message in run.messages
    assert identities(host) == before


def test_refuses_another_password(backups: Backups, host: Host, backup: Path) -> None:
    before = identities(host)
    run = backups.restore(file=backup, password=backups.other_password)
    assert run.status != 0
    assert f"nothing was touched; {backup}: no given password decrypts it" in run.messages
    assert identities(host) == before


def test_refuses_a_salt_key_of_the_inventory_that_is_not_the_backups(
    backups: Backups, host: Host, backup: Path
) -> None:
    run = backups.restore(file=backup, fleet_secrets={"salt_key": "sk-another-one-altogether"})
    assert run.status != 0
    assert "fleet_secrets.salt_key: differs from the backup's" in run.messages


# Restoring it


def test_keys_that_were_deleted_are_back_with_their_limits(
    backups: Backups, host: Host, door: Door, backup: Path, keys: dict[str, str]
) -> None:
    backups.make_keys(*({"alias": key["alias"], "state": "absent"} for key in KEYS), {"alias": "newer"})
    newer = backups.keys()["newer"]
    assert door.chat("plain", key=keys["kept"]).status_code == 401
    before = identities(host)
    run = backups.restore(file=backup)
    assert run.status == 0, run.output
    see_that_the_keys_work(door, keys)
    assert door.chat("plain", key=newer).status_code == 401, "it was made after the backup"
    assert door.chat("plain").status_code == 200
    now = identities(host)
    assert {name for name in before if now[name] != before[name]} == {"litellm"}
    (kept,) = [name for name in databases(host) if name != "litellm"]
    assert f"kept as {kept}" in run.messages and f"dropdb --username=fleet_admin {kept}" in run.messages
    see_that_no_secret_lies_about(host)


@pytest.mark.extended
def test_a_restore_that_was_cut_off_can_simply_be_run_again(
    backups: Backups, host: Host, door: Door, backup: Path, keys: dict[str, str]
) -> None:
    running = subprocess.Popen(
        backups.restore_command(file=backup), stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert running.stdout
    reached = next((line for line in running.stdout if "Swap the loaded and the current database" in line), None)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    assert reached, "it ended before that"
    run = backups.restore(file=backup)
    assert run.status == 0, run.output
    see_that_the_keys_work(door, keys)
    assert "litellm_restored" not in databases(host)


@pytest.mark.extended
def test_a_lost_database_and_lost_secrets_come_back(
    backups: Backups, host: Host, door: Door, backup: Path, keys: dict[str, str]
) -> None:
    was = host.check_output(f"cat {SECRETS}/salt_key")
    host.check_output("docker rm --force postgres litellm && docker volume rm fleet-postgres")
    host.check_output(f"rm -r {SECRETS}")
    run = backups.restore(file=backup)
    assert run.status == 0, run.output
    assert "There was no previous database." in run.messages
    assert databases(host) == ["litellm"]
    assert host.check_output(f"cat {SECRETS}/salt_key") == was
    see_that_the_keys_work(door, keys)


def test_more_than_one_host_is_refused(backups: Backups, spare: Spare, backup: Path) -> None:
    run = backups.restore(*spare.together, file=backup)
    assert run.status != 0
    assert "expected one backup and one host: run again with -e file=PATH and --limit HOST" in run.messages


@pytest.mark.extended
@pytest.mark.usefixtures("uninstalled_after")
def test_a_lost_host_lives_on_on_new_hardware_from_its_backup_alone(
    backups: Backups, spare: Spare, door: Door, backup: Path, keys: dict[str, str], tmp_path: Path
) -> None:
    refused = backups.restore(*spare.words, file=backup)
    assert refused.status != 0
    assert f"is of another host: {backups.name} as it was on" in refused.messages
    assert spare.host.check_output("docker ps --all --quiet") == ""
    run = backups.restore(*spare.words, file=backup, other_host=True)
    assert run.status == 0, run.output
    installed = backups.admin.play("install", *spare.words)
    assert installed.status == 0, installed.output
    new = Door(spare.host, tmp_path)
    assert new.key == door.key
    see_that_the_keys_work(new, keys)
    assert new.chat("plain", key=door.key).status_code == 200
    see_that_no_secret_lies_about(spare.host)


# Another major version of PostgreSQL


def image(host: Host, name: str, *lines: str) -> str:
    dockerfile = "\\n".join(["FROM inference-fleet/postgres:15", *lines])
    host.check_output(f"printf '{dockerfile}\\n' | DOCKER_BUILDKIT=0 docker build --quiet --tag {name} -")
    return name


def test_another_major_version_is_refused_with_the_way_to_it(backups: Backups, host: Host, backup: Path) -> None:
    before = identities(host)
    told = {
        "by its tag": ("example/postgres:16.3", "is PostgreSQL 16, and the volume fleet-postgres has data of 15"),
        "by the image": (
            image(host, "example/postgres:latest", "ENV PG_MAJOR=16"),
            "is PostgreSQL 16, and the volume fleet-postgres has data of 15",
        ),
        "by nothing": (image(host, "example/postgres:stable"), "pull it on the host first, or use a tag"),
    }
    for how, (name, message) in told.items():
        run = backups.admin.play("install", variables={"fleet_images": {**images(host), "postgres": name}})
        assert run.status != 0, how
        assert message in run.messages, how
    assert "run the playbook backup, set fleet_postgres.volume to a new name" in run.messages or how == "by nothing"
    assert identities(host) == before


@pytest.mark.extended
def test_the_way_to_another_major_version_loses_nothing(
    backups: Backups, host: Host, door: Door, backup: Path, keys: dict[str, str]
) -> None:
    """The server is 15 all the same, since there is no other in the lab: what is tried is the way."""
    name = image(host, "example/postgres:16.3", "ENV PG_MAJOR=16")
    changed = {"fleet_images": {**images(host), "postgres": name}, "fleet_postgres": {"volume": "fleet-postgres-16"}}
    run = backups.restore(file=backup, **changed)
    assert run.status == 0, run.output
    see_that_the_keys_work(door, keys)
    assert {"fleet-postgres", "fleet-postgres-16"} <= set(host.check_output("docker volume ls --quiet").split())
    back = backups.admin.play("install")
    assert back.status == 0, back.output
    assert door.chat("plain", key=keys["kept"]).status_code == 200
    host.check_output("docker volume rm fleet-postgres-16")


def images(host: Host) -> dict[str, str]:
    found: dict[str, str] = host.ansible.get_variables()["fleet_images"]
    return found
