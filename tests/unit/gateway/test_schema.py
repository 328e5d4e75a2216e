"""Migrations that a running LiteLLM bears, and those for which it has to stop."""

from __future__ import annotations

import pytest
from ansible_collections.inference.fleet.plugins.filter import migration_faults
from ansible_collections.inference.fleet.plugins.module_utils.gateway.schema import reasons_against

TABLE = 'CREATE TABLE IF NOT EXISTS "New" ("id" TEXT NOT NULL, CONSTRAINT "New_pkey" PRIMARY KEY ("id"));'


@pytest.mark.parametrize(
    "sql",
    [
        "",
        "-- nothing;\n",
        TABLE,
        'CREATE TABLE "New" ("id" TEXT NOT NULL);',
        f'-- CreateTable\n{TABLE}\n-- CreateIndex\nCREATE UNIQUE INDEX "k" ON "New"("id");',
        f'{TABLE} ALTER TABLE "New" ADD CONSTRAINT "c" FOREIGN KEY ("id") REFERENCES "Old"("id") ON DELETE CASCADE;',
        'CREATE INDEX CONCURRENTLY IF NOT EXISTS "i"\nON "Old" ("a", "b" DESC);',
        'ALTER TABLE "Old" ADD COLUMN "a" TEXT;',
        'alter table "Old" add column if not exists "a" jsonb;',
        """ALTER TABLE "Old" ADD COLUMN "a" TEXT[] DEFAULT ARRAY['x', 'y']::TEXT[], ADD COLUMN "b" INTEGER;""",
        'ALTER TABLE "Old" ADD COLUMN "a" DECIMAL(10, 2) NOT NULL DEFAULT 0.0,\n  ADD COLUMN "b" TIMESTAMP(3);',
        """CREATE TYPE "Kind" AS ENUM ('a', 'b');""",
    ],
)
def test_what_only_adds_lets_a_running_litellm_go_on(sql: str) -> None:
    assert reasons_against({"m": sql}, ()) == []


@pytest.mark.parametrize(
    "sql",
    [
        'DROP TABLE "Old";',
        'DROP INDEX "i";',
        'CREATE UNIQUE INDEX "k" ON "Old"("id");',
        'ALTER TABLE "Old" DROP COLUMN "a";',
        'ALTER TABLE "Old" RENAME COLUMN "a" TO "b";',
        'ALTER TABLE "Old" ALTER COLUMN "a" SET DATA TYPE BIGINT;',
        'ALTER TABLE "Old" ADD COLUMN "a" TEXT NOT NULL;',
        'ALTER TABLE "Old" ADD COLUMN "a" TEXT, ADD COLUMN "b" TEXT NOT NULL;',
        'ALTER TABLE "Old" ADD COLUMN "a" TEXT, DROP COLUMN "b";',
        'ALTER TABLE "Old" ADD COLUMN "a" TEXT UNIQUE;',
        'ALTER TABLE "Old" ADD COLUMN "a" TEXT REFERENCES "Other"("id");',
        'ALTER TABLE "Old" ADD CONSTRAINT "c" CHECK ("a" > 0);',
        'CREATE TABLE "New" ("id" TEXT REFERENCES "Old"("id"));',
        """ALTER TABLE "Old" ADD COLUMN "a" TEXT DEFAULT '(', DROP COLUMN "b";""",
        'UPDATE "Old" SET "a" = 1;',
        "DO $$ BEGIN DROP TABLE x; END $$;",
        "CREATE OR REPLACE FUNCTION f() RETURNS trigger AS $$ BEGIN RETURN NEW; END $$ LANGUAGE plpgsql;",
        "SELECT 1;",
        f'{TABLE} ALTER TABLE "Old" ADD COLUMN "a" TEXT; DELETE FROM "Old";',
        '/* a; */ ALTER TABLE "Old" DROP COLUMN "a";',
    ],
)
def test_everything_else_stops_it(sql: str) -> None:
    (reason,) = reasons_against({"20990101_m": sql}, ())
    assert reason.startswith("the image's migration 20990101_m may change what exists (")


def test_only_migrations_that_the_database_lacks_count() -> None:
    image = {"1": "DROP TABLE a;", "2": TABLE}
    assert reasons_against(image, ["1", "gone"]) == []
    assert "migration 1 " in reasons_against(image, ["2"])[0]


def test_a_table_is_new_for_the_migrations_after_its_own() -> None:
    index = 'CREATE UNIQUE INDEX "k" ON "New"("id");'
    assert reasons_against({"2": index, "1": TABLE}, ()) == []
    assert reasons_against({"1": index, "2": TABLE}, ()) != []
    assert reasons_against({"1": TABLE, "2": index}, ["1"]) != []


def test_the_filter_takes_what_the_role_reads() -> None:
    (faults,) = migration_faults.FilterModule().filters().values()
    assert faults({"1": "DROP TABLE a;"}, ["1"]) == []
