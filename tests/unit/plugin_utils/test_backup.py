"""The content of a backup, the name of its file, and which files are too old."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.plugin_utils import backup as backup_module
from ansible_collections.inference.fleet.plugins.plugin_utils.backup import (
    About,
    Backup,
    Dump,
    beyond,
    file_name,
    secrets_in,
    stamp,
)
from ansible_collections.inference.fleet.tests.unit.samples import faults
from hypothesis import given, strategies

ABOUT = About("gpu1", "20261124T024011Z", "15.18", "0.1.0", spend_logs=False)
DUMP = b"PGDMP\x00\xff"


def described(dump: bytes) -> Dump:
    return Dump(len(dump), hashlib.sha256(dump).hexdigest())


BACKUP = Backup(ABOUT, {"master_key": "sk-1", "direct-app": "sk-2"}, described(DUMP))


def packed(backup: Backup, dump: bytes = DUMP) -> bytes:
    file = io.BytesIO()
    backup.pack(file, io.BytesIO(dump))
    return file.getvalue()


def unpacked(data: bytes, *take: Any) -> Backup:
    return Backup.unpack(io.BytesIO(data), "file", *take)


def tar(**members: bytes) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as made:
        for name, content in members.items():
            member = tarfile.TarInfo(name.replace("__", "/"))
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
    return file.getvalue()


def manifest(**changes: Any) -> bytes:
    about = {"host": "gpu1", "made": ABOUT.made, "postgres": "15.18", "collection": "0.1.0", "spend_logs": True}
    return json.dumps({"format": 1, **about, "sha256": {}, **changes}).encode()


@given(
    strategies.binary(max_size=30_000),
    strategies.dictionaries(strategies.from_regex(r"[a-z][\w.-]*", fullmatch=True), strategies.text()),
)
def test_what_was_packed_is_unpacked(dump: bytes, secrets: dict[str, str]) -> None:
    backup = replace(BACKUP, dump=described(dump), secrets=secrets)
    taken = io.BytesIO()
    assert unpacked(packed(backup, dump), taken.write) == backup
    assert taken.getvalue() == dump


def test_a_dump_is_in_memory_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup_module, "PART", 1000)
    sizes: list[int] = []
    unpacked(packed(replace(BACKUP, dump=described(b"x" * 2500)), b"x" * 2500), lambda part: sizes.append(len(part)))
    assert sizes == [1000, 1000, 500]


def test_reads_what_earlier_versions_wrote() -> None:
    """They wrote the whole tar file at once."""
    sha256 = {"secrets/salt_key": hashlib.sha256(b"sk-1").hexdigest(), "database.dump": BACKUP.dump.sha256}
    members = {"manifest.json": manifest(sha256=sha256), "secrets/salt_key": b"sk-1", "database.dump": DUMP}
    assert unpacked(tar(**members)) == Backup(replace(ABOUT, spend_logs=True), {"salt_key": "sk-1"}, BACKUP.dump)


def test_is_said_in_words() -> None:
    assert ABOUT.in_words == "gpu1 as it was on 2026-11-24 at 02:40:11 UTC, PostgreSQL 15.18"


@pytest.mark.parametrize(
    "data", [b"", b"fleet_schema: 1", tar(other=b"1"), tar(**{"manifest.json": b"[]"}), tar(**{"manifest.json": b"{"})]
)
def test_what_is_no_backup_is_called_that(data: bytes) -> None:
    assert faults(unpacked, data) == ["file: is not a backup; expected a file that the playbook backup has written"]


def test_a_newer_format_is_reported_with_the_version_that_reads_it() -> None:
    assert faults(unpacked, tar(**{"manifest.json": manifest(format=2, collection="3.1.0")})) == [
        "file: was written by a newer inference.fleet (3.1.0), in format 2, where this one reads 1; "
        "install that version or a later one"
    ]


@pytest.mark.parametrize("changes", [{"made": "yesterday"}, {"made": 1}, {"sha256": []}, {"sha256": {"gone": "0"}}, {}])
def test_a_part_that_is_missing_is_a_fault(changes: dict[str, Any]) -> None:
    """Without changes it is the dump."""
    (fault,) = faults(unpacked, tar(**{"manifest.json": manifest(**changes)}))
    assert fault.startswith("file: is a backup with a missing or invalid part: ")


def test_a_part_that_was_changed_is_a_fault() -> None:
    data = packed(BACKUP).replace(b"PGDMP\x00\xff", b"PGDMP\x00\xfe")
    assert faults(unpacked, data) == ["file: is a backup with changed parts: database.dump"]


@pytest.mark.parametrize("name", ["../../etc/shadow", ".hidden", "a/b", ""])
def test_a_secret_cannot_have_the_name_of_a_file_elsewhere(name: str) -> None:
    data = packed(replace(BACKUP, secrets={name: "x"}))
    assert faults(unpacked, data) == [f"file: is a backup with changed parts: {name}"]


def test_secrets_are_the_regular_files_of_their_folder() -> None:
    assert secrets_in(tar(secrets__salt_key=b"sk-1\n", **{"secrets/.tmp": b"half"})) == {"salt_key": "sk-1"}
    assert secrets_in(b"") == {}


def test_a_stamp_is_in_utc() -> None:
    east = timezone(timedelta(hours=2))
    assert stamp(datetime(2026, 11, 24, 1, 30, 5, tzinfo=east)) == "20261123T233005Z"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("gpu1.example.com", "gpu1.example.com-S.fleet-backup"),
        ("2001:db8::1", "2001%3Adb8%3A%3A1-S.fleet-backup"),
        ("../a b", "..%2Fa%20b-S.fleet-backup"),
    ],
)
def test_any_name_of_an_inventory_makes_one_file_name(host: str, name: str) -> None:
    assert file_name(host, "S") == name


def test_the_newest_are_kept_and_others_left_alone() -> None:
    mine = [file_name("a", f"2026010{day}T000000Z") for day in range(1, 6)]
    others = [file_name("a-b", "20250101T000000Z"), file_name("A", "20250101T000000Z"), "a-20250101T000000Z.txt", "a"]
    assert beyond([*reversed(mine), *others], "a", 2) == mine[:3]
    assert beyond([*mine, *others], "a", 5) == []
    assert beyond(others, "a", 1) == []
