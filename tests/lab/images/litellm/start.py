"""Applies LiteLLM's database migrations, then becomes `litellm` with the arguments given.

LiteLLM's published image has Prisma's command line apply them. They are plain SQL; this applies
them in the same order, and keeps Prisma's own record of them, under Prisma's own lock, so that
either image can take over the other's database.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import psycopg
from psycopg import pq

PATIENCE_S = 300
PRISMA_LOCK = 72707369
"""The advisory lock that `prisma migrate deploy` takes."""
_NO_TRANSACTION = re.compile(r"^\s*(CREATE|DROP)\s+(UNIQUE\s+)?INDEX\s+CONCURRENTLY", re.I | re.M)
_NOT_YET = "the database system is "
"""What PostgreSQL says while it starts, recovers or shuts down."""
_RECORD = """
CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum VARCHAR(64) NOT NULL,
    finished_at TIMESTAMPTZ,
    migration_name VARCHAR(255) NOT NULL,
    logs TEXT,
    rolled_back_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
)"""
_ADD = """
INSERT INTO _prisma_migrations
    (id, checksum, migration_name, started_at, finished_at, applied_steps_count)
VALUES (%s, %s, %s, %s, clock_timestamp(), 1)"""


def for_libpq(url: str) -> str:
    """The URL without the parameters that only Prisma knows; libpq refuses them."""
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    parts = urlsplit(url)
    query = [(key, value) for key, value in parse_qsl(parts.query) if key in known]
    return parts._replace(query=urlencode(query)).geturl()


def connect(url: str) -> psycopg.Connection:
    """Connect as soon as PostgreSQL takes connections. Raises psycopg.OperationalError."""
    deadline = time.monotonic() + PATIENCE_S
    said = ""
    while True:
        try:
            return psycopg.connect(for_libpq(url), autocommit=True, connect_timeout=10)
        except psycopg.OperationalError as error:
            refused = "FATAL" in str(error) and _NOT_YET not in str(error)
            if refused or time.monotonic() > deadline:
                raise
            if str(error) != said:
                said = str(error)
                print(f"Waiting for PostgreSQL: {said}", file=sys.stderr, flush=True)
        time.sleep(0.5)


def lock(database: psycopg.Connection) -> None:
    """Wait for Prisma's lock, which is held until the connection ends."""
    # A statement that waits for it would be waited for in turn where its holder makes an index
    # concurrently: PostgreSQL sees a deadlock.
    while database.execute("SELECT pg_try_advisory_lock(%s)", (PRISMA_LOCK,)).fetchone() != (True,):
        time.sleep(0.2)


def pending(database: psycopg.Connection) -> Iterator[Path]:
    """The migrations that are not on record as applied, in order."""
    database.execute(_RECORD)
    rows = database.execute("SELECT migration_name FROM _prisma_migrations WHERE finished_at IS NOT NULL")
    applied = {name for (name,) in rows}
    # Found without importing the package, which takes all of Prisma with it.
    package = find_spec("litellm_proxy_extras")
    assert package and package.origin
    for file in sorted(Path(package.origin).parent.glob("migrations/*/migration.sql")):
        if file.parent.name not in applied:
            yield file


def apply(database: psycopg.Connection, file: Path) -> None:
    """Run one migration and record it: together, unless it makes an index concurrently."""
    content = file.read_bytes()
    started = datetime.now(UTC)
    record = (str(uuid.uuid4()), hashlib.sha256(content).hexdigest(), file.parent.name, started)
    if _NO_TRANSACTION.search(content.decode()):
        database.execute(content)
        database.execute(_ADD, record)
        return
    with database.transaction():
        database.execute(content)
        database.execute(_ADD, record)


def migrate(url: str) -> None:
    """Bring the database up to date. Exits the process where that is not possible."""
    name = "connecting"
    try:
        with connect(url) as database:
            name = "locking"
            lock(database)
            started, count = time.monotonic(), 0
            for file in pending(database):
                name = file.parent.name
                apply(database, file)
                count += 1
    except psycopg.Error as error:
        # In LiteLLM's own words, and with its exit code.
        print(f"LiteLLM Proxy: Database migration cannot proceed. {name}: {error}", file=sys.stderr, flush=True)
        sys.exit(2)
    if count:
        took = time.monotonic() - started
        print(f"Applied {count} database migrations in {took:.1f} s", file=sys.stderr, flush=True)


def main() -> None:
    url = os.environ.get("DATABASE_URL")
    if url:
        migrate(url)
        os.environ["DISABLE_SCHEMA_UPDATE"] = "true"
    os.execvp("litellm", ["litellm", *sys.argv[1:]])


if __name__ == "__main__":
    main()
