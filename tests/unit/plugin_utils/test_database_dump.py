"""LiteLLM's database on a host: the commands, and how their answers are read."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.plugin_utils.database_dump import Database, name_before, read_secrets
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


def test_a_dump_is_what_pg_dump_wrote() -> None:
    host = Host({"stdout": encoded(b"PGDMP\0"), "stderr": "0\n"})
    assert Database(host).dump(spend_logs=True, max_bytes=6) == b"PGDMP\0"
    ((command, _data),) = host.commands
    assert "--format=custom" in command and "SpendLogs" not in command


def test_an_answer_with_something_else_in_it_is_no_dump() -> None:
    host = Host({"stdout": "You have new mail\n" + encoded(b"PGDMP"), "stderr": "0\n"})
    assert faults(lambda: Database(host).dump(spend_logs=True, max_bytes=6)) == [
        "the host's answer is incomplete, or has output of a login script in it"
    ]


def test_spend_logs_are_left_out_by_their_rows_alone() -> None:
    host = Host({"stdout": encoded(b"PGDMP\0"), "stderr": "0\n"})
    Database(host).dump(spend_logs=False, max_bytes=100)
    assert """'--exclude-table-data=public."LiteLLM_SpendLogs"'""" in host.commands[0][0]


@pytest.mark.parametrize(
    ("stderr", "fault"),
    [
        ("pg_dump: error: connection failed\nDETAIL: of a row\n1\n", "pg_dump: error: connection failed"),
        ("1\n", "pg_dump: 1"),
        ("", "pg_dump: no output"),
    ],
)
def test_a_dump_that_failed_is_none_whatever_came_of_it(stderr: str, fault: str) -> None:
    host = Host({"stdout": encoded(b"PGDMP\0"), "stderr": stderr})
    assert faults(Database(host).dump, True, 100) == [fault]


@pytest.mark.parametrize(("spend_logs", "way"), [(True, "spend_logs: false leaves out"), (False, "; raise max_mb")])
def test_a_dump_above_the_limit_is_refused_with_the_way_out(spend_logs: bool, way: str) -> None:
    host = Host({"stdout": encoded(b"x" * 2_000_001), "stderr": "141\n"})
    (fault,) = faults(Database(host).dump, spend_logs, 2_000_000)
    assert "more than 2 MB, fleet_backup.max_mb" in fault and way in fault
    assert "head --bytes=2000001" in host.commands[0][0]


def test_pg_restore_says_what_is_wrong_with_a_dump_and_no_row_of_it() -> None:
    host = Host({"rc": 1, "stderr": "pg_restore: error: could not read\nCONTEXT: COPY t, line 1: secret\n"})
    assert faults(Database(host).check, b"dump") == ["pg_restore: error: could not read"]
    assert host.commands[0][1] == b"dump"


def test_is_read_into_a_new_database_in_one_transaction() -> None:
    host = Host(OK)
    Database(host).load(b"dump")
    commands = [command for command, _data in host.commands]
    assert "DROP DATABASE IF EXISTS litellm_restored" in commands[0]
    assert "CREATE DATABASE litellm_restored" in commands[1]
    assert "--single-transaction --exit-on-error --dbname=litellm_restored" in commands[2]
    assert host.commands[2][1] == b"dump"


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
