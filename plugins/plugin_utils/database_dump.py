# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""LiteLLM's database on a host, through commands that the controller runs on the host.

A dump passes only through the connection, from or to the database's own programs: it is never in a
file on the host. PostgreSQL's socket inside its container needs no password.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.backup import secrets_in

# (command, standard input) -> rc, stdout and stderr, as ActionBase._low_level_execute_command.
Run = Callable[[str, bytes], Mapping[str, Any]]

RESTORED = "litellm_restored"  # the database that a dump is loaded into, until it replaces the one in use
SPEND_LOGS = 'public."LiteLLM_SpendLogs"'
_PSQL = ("psql", "--username=litellm", "--quiet", "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
_DUMP = ("pg_dump", "--username=litellm", "--dbname=litellm", "--format=custom", "--no-owner", "--no-privileges")
_LOAD = ("pg_restore", "--username=litellm", "--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error")
_TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"


class Database:
    def __init__(self, run: Run) -> None:
        self._run = run

    def version(self) -> str:
        """The server's version, such as `15.19`. Raises FleetError if PostgreSQL does not answer."""
        return self._ask("SHOW server_version").partition(" ")[0]

    def is_empty(self) -> bool:
        """Whether the database has no table, so LiteLLM has never used it."""
        return self._ask(_TABLES) == "0"

    def dump(self, spend_logs: bool, max_bytes: int) -> bytes:
        """The whole database in pg_dump's custom format. Raises FleetError above `max_bytes`."""
        words = [*_DUMP, *(() if spend_logs else (f"--exclude-table-data={SPEND_LOGS}",))]
        command = f"docker exec postgres {shlex.join(words)}"
        # A pipe's status is that of its last command, so the first command's status is sent on standard error.
        answer = self._run(f"{{ {command}; echo $? >&2; }} | head --bytes={max_bytes + 1} | base64 --wrap=0", b"\n")
        dump = _decoded(answer)
        if len(dump) > max_bytes:
            raise FleetError(
                f"the dump of the database has more than {max_bytes // 10**6} MB, fleet_backup.max_mb, "
                f"and Ansible Vault holds all of it in memory, 19 times over; "
                + ("fleet_backup.spend_logs: false leaves out a row for each request, or r" if spend_logs else "r")
                + "aise max_mb if this machine has the memory"
            )
        said, _newline, status = answer["stderr"].strip().rpartition("\n")
        if status != "0":
            raise FleetError(f"pg_dump: {_first_line(said or status)}")
        return dump

    def check(self, dump: bytes) -> None:
        """Lets pg_restore read the whole dump, and discards its output. Raises FleetError on errors."""
        self._feed("docker exec --interactive postgres pg_restore --file=/dev/null", dump)

    def load(self, dump: bytes) -> None:
        """Loads the dump into a new database beside the one in use: completely, or raises FleetError."""
        self._ask(f"DROP DATABASE IF EXISTS {RESTORED}", database="postgres")  # left by an interrupted run
        self._ask(f"CREATE DATABASE {RESTORED} TEMPLATE template0", database="postgres")
        self._feed(f"docker exec --interactive postgres {shlex.join([*_LOAD, f'--dbname={RESTORED}'])}", dump)

    def _ask(self, sql: str, database: str = "litellm") -> str:
        answer = self._run(
            shlex.join(["docker", "exec", "postgres", *_PSQL, f"--dbname={database}", f"--command={sql}"]), b"\n"
        )
        if answer["rc"]:
            raise FleetError(
                f"PostgreSQL does not answer on this host ({_first_line(answer['stderr'])}); "
                f"run install, or see `docker logs postgres` there"
            )
        return str(answer["stdout"]).strip()

    def _feed(self, command: str, data: bytes) -> None:
        # Read the input that a failed program leaves, otherwise sending fails and the program's error is lost.
        answer = self._run(f"{command}; status=$?; cat > /dev/null; exit $status", data)
        if answer["rc"]:
            raise FleetError(f"pg_restore: {_first_line(answer['stderr'] or answer['stdout'])}")


def read_secrets(run: Run, folder: str) -> dict[str, str]:
    """Name -> value of each stored secret of the host. folder: of its configuration."""
    answer = run(f"tar --create --directory {shlex.quote(folder)} secrets | base64 --wrap=0", b"\n")
    secrets = secrets_in(_decoded(answer))
    if not secrets:
        raise FleetError(f"{folder}/secrets: cannot be read ({_first_line(answer['stderr'])}); run install first")
    return secrets


def name_before(now: datetime) -> str:
    """The new name of the database that a restored one replaces."""
    return f"litellm_before_{now:%Y%m%d_%H%M%S}"


def _decoded(answer: Mapping[str, Any]) -> bytes:
    try:
        return base64.b64decode("".join(str(answer["stdout"]).split()))
    except ValueError:
        raise FleetError("the host's answer is incomplete, or has output of a login script in it") from None


def _first_line(text: str) -> str:
    """Only the first line: others may show content of rows."""
    return text.strip().partition("\n")[0].removeprefix("pg_dump: ").removeprefix("pg_restore: ") or "no output"
