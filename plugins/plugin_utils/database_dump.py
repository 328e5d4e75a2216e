# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""LiteLLM's database on a host, through commands that the controller runs on the host.

Until `discard` a dump is in a file on the host that only root can read, as the database itself. It goes through the
connection in parts, so it may be larger than the controller's memory. PostgreSQL's socket inside its container needs no
password.
"""

from __future__ import annotations

import base64
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import DUMP, STATE
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.plugin_utils.backup import PART, Dump, secrets_in

# (command, standard input) -> rc, stdout and stderr, as ActionBase._low_level_execute_command.
Run = Callable[[str, bytes], Mapping[str, Any]]

RESTORED = "litellm_restored"  # the database that a dump is loaded into, until it replaces the one in use
COPY = "litellm_before_migrations"  # the copy from before the last migrations that were applied without a backup file
SPEND_LOGS = 'public."LiteLLM_SpendLogs"'
OWNER = "litellm"  # LiteLLM's role, which can do nothing outside its database
ADMIN = "fleet_admin"  # the superuser; see roles/postgres/files/owner.sql
_INCOMPLETE = "the host's answer is incomplete, or has output of a login script in it"
_PSQL = ("psql", "--quiet", "--no-psqlrc", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
_PG_DUMP = ("pg_dump", f"--username={OWNER}", "--dbname=litellm", "--format=custom", "--no-owner", "--no-privileges")
# Comments on an extension need the extension's owner.
_PG_RESTORE = (
    *("pg_restore", f"--username={OWNER}", f"--dbname={RESTORED}", "--no-owner", "--no-privileges", "--no-comments"),
    *("--single-transaction", "--exit-on-error"),
)
_TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"
_BEGIN = f"mkdir -p {STATE} && rm -f {DUMP}"
_WRITTEN = re.compile(r"(\d+)\s+([0-9a-f]{64})  -\s*$")  # wc and sha256sum
_EXTENSION = re.compile(r"(?m)^\d+; \d+ \d+ EXTENSION - (\S+)")


class TooLarge(FleetError):
    """The dump is larger than allowed."""


class Database:
    def __init__(self, run: Run) -> None:
        self._run = run

    def version(self) -> str:
        """The server's version, such as `15.19`. Raises FleetError if PostgreSQL does not answer."""
        return self._ask("SHOW server_version").partition(" ")[0]

    def is_empty(self) -> bool:
        """Whether the database has no table, so LiteLLM has never used it."""
        return self._ask(_TABLES) == "0"

    def dump(self, spend_logs: bool, max_bytes: int) -> Dump:
        """Writes the whole database to the file, in pg_dump's custom format, and lets pg_restore read the file.

        Raises TooLarge above `max_bytes`, or above half of the free space: PostgreSQL stops if its disk is full.
        """
        free = self._shell(f"{_BEGIN} && df --output=avail --block-size=1 {STATE}").split()[-1]
        limit = min(max_bytes, int(free) // 2)
        words = [*_PG_DUMP, *(() if spend_logs else (f"--exclude-table-data={SPEND_LOGS}",))]
        command = f"docker exec postgres {shlex.join(words)}"
        # A pipe's status is that of its last command, so the first command's status is sent on standard error.
        answer = self._run(
            f"umask 077; {{ {command}; echo $? >&2; }} | head --bytes={limit + 1} > {DUMP}; "
            f"wc --bytes < {DUMP}; sha256sum < {DUMP}",
            b"\n",
        )
        written = _WRITTEN.search(str(answer["stdout"]))
        if written and int(written[1]) > limit:
            why = "fleet_backup.max_mb" if limit == max_bytes else f"half of the free space at {STATE} on the host"
            raise TooLarge(f"the dump of the database has more than {limit // 10**6} MB, {why}")
        said, _newline, status = answer["stderr"].strip().rpartition("\n")
        if status != "0" or not written:
            raise FleetError(f"pg_dump: {_first_line(said or status)}")
        self._restore("pg_restore --file=/dev/null")
        return Dump(int(written[1]), written[2])

    def parts(self, dump: Dump) -> Iterator[bytes]:
        """The content of the file."""
        for start in range(0, dump.size, PART):
            options = f"if={DUMP} bs={PART} skip={start // PART} count=1 iflag=fullblock status=none"
            part = _decoded(self._run(f"dd {options} | base64 --wrap=0", b"\n"))
            if len(part) != min(PART, dump.size - start):
                raise FleetError(_INCOMPLETE)
            yield part

    def begin(self) -> None:
        """Before `append`: the file is empty."""
        self._shell(_BEGIN)

    def append(self, part: bytes) -> None:
        answer = self._run(f"umask 077; cat >> {DUMP}", part)
        if answer["rc"]:
            raise FleetError(f"{DUMP}: {_first_line(answer['stderr'] or answer['stdout'])}")

    def load(self, dump: Dump) -> None:
        """Loads the file into a new database beside the one in use: completely, or raises FleetError."""
        if dump.sha256 not in self._shell(f"sha256sum < {DUMP}"):
            raise FleetError("the dump did not reach the host as it is in the backup; run again")
        for sql in (
            f"DROP DATABASE IF EXISTS {RESTORED}",  # left by an interrupted run
            f"CREATE DATABASE {RESTORED} TEMPLATE template0 OWNER {OWNER}",
        ):
            self._ask(sql, "postgres", ADMIN)
        # An extension that somebody added to the database: only a superuser may create some of them.
        for name in _EXTENSION.findall(self._restore("pg_restore --list")):
            quoted = name.replace('"', '""')
            self._ask(f'CREATE EXTENSION IF NOT EXISTS "{quoted}"', RESTORED, ADMIN)
        self._restore(shlex.join(_PG_RESTORE))

    def keep_loaded(self) -> None:
        """Makes the loaded database the copy, in place of the previous copy."""
        self._ask(f"DROP DATABASE IF EXISTS {COPY}", "postgres", ADMIN)
        self._ask(f"ALTER DATABASE {RESTORED} RENAME TO {COPY}", "postgres", ADMIN)

    def discard(self) -> None:
        self._run(f"rm -f {DUMP}", b"\n")

    def _ask(self, sql: str, database: str = "litellm", role: str = OWNER) -> str:
        words = ["docker", "exec", "postgres", *_PSQL, f"--username={role}", f"--dbname={database}", f"--command={sql}"]
        answer = self._run(shlex.join(words), b"\n")
        if answer["rc"]:
            raise FleetError(
                f"PostgreSQL does not answer on this host ({_first_line(answer['stderr'])}); "
                f"run install, or see `docker logs postgres` there"
            )
        return str(answer["stdout"]).strip()

    def _restore(self, command: str) -> str:
        """Lets pg_restore read the file."""
        answer = self._run(f"docker exec --interactive postgres {command} < {DUMP}", b"\n")
        if answer["rc"]:
            raise FleetError(f"pg_restore: {_first_line(answer['stderr'] or answer['stdout'])}")
        return str(answer["stdout"])

    def _shell(self, command: str) -> str:
        answer = self._run(command, b"\n")
        if answer["rc"]:
            raise FleetError(f"{DUMP}: {_first_line(answer['stderr'] or answer['stdout'])}")
        return str(answer["stdout"])


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
        raise FleetError(_INCOMPLETE) from None


def _first_line(text: str) -> str:
    """Only the first line: others may show content of rows."""
    return text.strip().partition("\n")[0].removeprefix("pg_dump: ").removeprefix("pg_restore: ") or "no output"
