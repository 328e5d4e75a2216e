"""LiteLLM's database on a host: the commands, and how their answers are read."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import DUMP as FILE
from ansible_collections.inference.fleet.plugins.plugin_utils import database_dump
from ansible_collections.inference.fleet.plugins.plugin_utils.backup import Dump
from ansible_collections.inference.fleet.plugins.plugin_utils.database_dump import (
    Database,
    name_before,
    read_secrets,
)
from ansible_collections.inference.fleet.tests.unit.plugin_utils.test_backup import tar
from ansible_collections.inference.fleet.tests.unit.samples import faults

OK = {"rc": 0, "stdout": "", "stderr": ""}


class Host:
    """Answers each command with the next of these; the last one repeats."""

    def __init__(self, *answers: dict[str, Any]) -> None:
        self.answers = list(answers)
        self.commands: list[tuple[str, bytes]] = []

    def __call__(self, command: str, data: bytes) -> dict[str, Any]:
        self.commands.append((command, data))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return {**OK, **answer}


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def test_the_version_is_its_number() -> None:
    assert Database(Host({"stdout": "15.20 (Debian 15.20-0+deb12u1)\n"})).version() == "15.20"


def test_a_database_that_does_not_answer_is_reported_with_what_to_do() -> None:
    host = Host({"rc": 1, "stderr": "Error response from daemon: No such container: postgres\n"})
    assert faults(Database(host).version) == [
        "PostgreSQL does not answer on this host (Error response from daemon: No such container: postgres); "
        "run install, or see `docker logs postgres` there"
    ]


SHA256 = "d" * 64
FREE = {"stdout": "     Avail\n50000000\n"}
DUMPED = {"stdout": f"6\n{SHA256}  -\n", "stderr": "0\n"}
DUMP = Dump(6, SHA256)


def test_a_dump_is_a_file_on_the_host_that_pg_restore_reads() -> None:
    host = Host(FREE, DUMPED, OK)
    assert Database(host).dump(spend_logs=True, max_bytes=6) == DUMP
    begin, dump, check = [command for command, _data in host.commands]
    assert begin.startswith(f"mkdir -p /var/lib/inference-fleet && rm -f {FILE} &&")
    assert "--username=litellm --dbname=litellm --format=custom" in dump and "SpendLogs" not in dump
    assert dump.startswith("umask 077;") and f"> {FILE}" in dump
    assert check == f"docker exec --interactive postgres pg_restore --file=/dev/null < {FILE}"


def test_an_answer_with_something_else_in_it_is_no_part_of_a_dump() -> None:
    host = Host({"stdout": "You have new mail\n" + encoded(b"PGDMP")})
    assert faults(list, Database(host).parts(DUMP)) == [
        "the host's answer is incomplete, or has output of a login script in it"
    ]


def test_spend_logs_are_left_out_by_their_rows_alone() -> None:
    host = Host(FREE, DUMPED, OK)
    Database(host).dump(spend_logs=False, max_bytes=100)
    assert """'--exclude-table-data=public."LiteLLM_SpendLogs"'""" in host.commands[1][0]


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ({"stderr": "pg_dump: error: connection failed\nDETAIL: of a row\n1\n"}, "pg_dump: error: connection failed"),
        ({"stderr": "1\n"}, "pg_dump: 1"),
        ({"stderr": ""}, "pg_dump: no output"),
        ({"stderr": "0\nhead: error writing: No space left on device\n"}, "pg_dump: 0"),
        ({"stderr": "sh: cannot create x: Read-only file system\n0\n", "stdout": ""}, "pg_dump: sh: cannot create x"),
    ],
)
def test_a_dump_that_failed_is_none_whatever_came_of_it(answer: dict[str, Any], fault: str) -> None:
    (found,) = faults(Database(Host(FREE, {**DUMPED, **answer})).dump, True, 100)
    assert found.startswith(fault) and "DETAIL" not in found


@pytest.mark.parametrize(
    ("free", "limit", "why"),
    [
        (50_000_000, 2_000_000, "2 MB, fleet_backup.max_mb"),
        (2_000_000, 1_000_000, "1 MB, half of the free space at /var/lib/inference-fleet on the host"),
    ],
)
def test_a_dump_above_the_limit_or_half_of_the_disk_is_refused(free: int, limit: int, why: str) -> None:
    written = {"stdout": f"{limit + 1}\n{SHA256}  -\n", "stderr": "141\n"}
    host = Host({"stdout": f"Avail\n{free}\n"}, written)
    assert faults(Database(host).dump, True, 2_000_000) == [f"the dump of the database has more than {why}"]
    assert f"head --bytes={limit + 1} " in host.commands[1][0]


def test_pg_restore_says_what_is_wrong_with_a_dump_and_no_row_of_it() -> None:
    wrong = {"rc": 1, "stderr": "pg_restore: error: could not read\nCONTEXT: COPY t, line 1: secret\n"}
    assert faults(Database(Host(FREE, DUMPED, wrong)).dump, True, 100) == ["pg_restore: error: could not read"]


def test_a_dump_is_fetched_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_dump, "PART", 4)
    host = Host({"stdout": encoded(b"PGDM")}, {"stdout": encoded(b"P\0")})
    assert list(Database(host).parts(DUMP)) == [b"PGDM", b"P\0"]
    assert ["bs=4 skip=0 " in host.commands[0][0], "bs=4 skip=1 " in host.commands[1][0]] == [True, True]


def test_a_part_that_is_cut_off_is_a_fault() -> None:
    assert faults(list, Database(Host({"stdout": encoded(b"PGDMP")})).parts(DUMP)) == [
        "the host's answer is incomplete, or has output of a login script in it"
    ]


def test_is_read_into_a_new_database_in_one_transaction() -> None:
    host = Host({"stdout": f"{SHA256}  -\n"}, OK, OK, {"stdout": ";\n; Archive\n;\n"}, OK)
    Database(host).load(DUMP)
    _digest, drop, create, _contents, load = [command for command, _data in host.commands]
    assert "DROP DATABASE IF EXISTS litellm_restored" in drop
    assert "CREATE DATABASE litellm_restored TEMPLATE template0 OWNER litellm" in create
    assert "--username=fleet_admin --dbname=postgres" in drop and "--username=fleet_admin" in create
    assert "--username=litellm --dbname=litellm_restored --no-owner --no-privileges --no-comments" in load
    assert "--single-transaction --exit-on-error" in load


def test_a_dump_that_did_not_arrive_whole_is_not_loaded() -> None:
    host = Host({"stdout": f"{'e' * 64}  -\n"})
    assert faults(Database(host).load, DUMP) == ["the dump did not reach the host as it is in the backup; run again"]
    assert len(host.commands) == 1


def test_extensions_that_litellms_role_cannot_create_are_created_before() -> None:
    contents = (
        "; Dumped from database version: 15.20\n"
        "2; 3079 16389 EXTENSION - pg_stat_statements \n"
        "4221; 0 0 COMMENT - EXTENSION pg_stat_statements \n"
        "215; 1259 17001 TABLE public EXTENSION litellm\n"
    )
    host = Host({"stdout": SHA256}, OK, OK, {"stdout": contents}, OK)
    Database(host).load(DUMP)
    extensions = [command for command, _data in host.commands if "CREATE EXTENSION" in command]
    assert len(extensions) == 1 and 'CREATE EXTENSION IF NOT EXISTS "pg_stat_statements"' in extensions[0]
    assert "--username=fleet_admin --dbname=litellm_restored" in extensions[0]


def test_parts_are_appended_to_a_file_of_roots() -> None:
    host = Host(OK)
    Database(host).append(b"PGDMP\0")
    assert host.commands == [(f"umask 077; cat >> {FILE}", b"PGDMP\0")]
    full = Host({"rc": 1, "stderr": "cat: write error: No space left on device"})
    (fault,) = faults(Database(full).append, b"x")
    assert fault == f"{FILE}: cat: write error: No space left on device"


def test_reads_the_secrets_of_a_host() -> None:
    host = Host({"stdout": encoded(tar(secrets__salt_key=b"sk-1\n")) + "\n"})
    assert read_secrets(host, "/etc/in ference") == {"salt_key": "sk-1"}
    assert "'/etc/in ference'" in host.commands[0][0]


def test_a_host_without_secrets_is_reported() -> None:
    host = Host({"stderr": "tar: secrets: Cannot stat: No such file or directory\n"})
    assert faults(read_secrets, host, "/etc/x") == [
        "/etc/x/secrets: cannot be read (tar: secrets: Cannot stat: No such file or directory); run install first"
    ]


def test_the_database_of_before_is_called_by_the_time() -> None:
    assert name_before(datetime(2026, 11, 24, 2, 40, 11)) == "litellm_before_20261124_024011"
