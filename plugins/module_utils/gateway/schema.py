# Copyright: (c) 2026, the inference.fleet authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""Whether a running LiteLLM can go on while another image changes the database: pending migrations that only add. Pure.

Prisma's migrations are folders with SQL; the table _prisma_migrations has the names of those that the database has.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

_NAME = r'"?(\w+)"?'
_MAYBE = r"(?:IF NOT EXISTS )?"
_TABLE = re.compile(rf"CREATE TABLE {_MAYBE}{_NAME} ?\(", re.IGNORECASE)
_INDEX = re.compile(rf"CREATE (UNIQUE )?INDEX (?:CONCURRENTLY )?{_MAYBE}{_NAME} ON {_NAME}", re.IGNORECASE)
_TYPE = re.compile(r"CREATE TYPE ", re.IGNORECASE)
_ALTER = re.compile(rf"ALTER TABLE (?:IF EXISTS )?(?:ONLY )?{_NAME} (ADD .*)", re.IGNORECASE)
_COLUMN = re.compile(rf"ADD COLUMN {_MAYBE}{_NAME} (.*)", re.IGNORECASE)
# What ties a column to other data, or follows after a sign that `_clauses` misread.
_TIES = re.compile(r"\b(UNIQUE|PRIMARY|REFERENCES|CHECK|GENERATED|ADD|ALTER|DROP|RENAME)\b", re.IGNORECASE)
_REQUIRED = re.compile(r"\bNOT NULL\b", re.IGNORECASE)
_DEFAULT = re.compile(r"\bDEFAULT\b", re.IGNORECASE)
_SHOWN = 60


def reasons_against(image: Mapping[str, str], applied: Collection[str]) -> list[str]:
    """Why a LiteLLM that runs may not bear the migrations that the database lacks; empty if they only add.

    image: name of a migration -> its SQL. applied: the names of those that the database has.
    """
    pending = {name: sql for name, sql in sorted(image.items()) if name not in applied}
    new: set[str] = set()
    for name, sql in pending.items():
        for statement in _statements(sql):
            if not _only_adds(statement, new):
                return [f"the image's migration {name} may change what exists ({statement[:_SHOWN]})"]
    return []


def _statements(sql: str) -> Iterator[str]:
    """With single blanks. A text or a function with a semicolon in it falls into parts that add nothing."""
    for part in re.sub(r"--[^\n]*", " ", sql).split(";"):
        statement = " ".join(part.split())
        if statement:
            yield statement


def _only_adds(statement: str, new: set[str]) -> bool:
    """new: the tables that the pending migrations have created so far, in which everything is allowed to be added."""
    if found := _TABLE.match(statement):
        new.add(found[1])
        return "REFERENCES" not in statement.upper()
    if found := _INDEX.match(statement):
        return not found[1] or found[3] in new
    if found := _ALTER.match(statement):
        return found[1] in new or all(_is_free_column(clause) for clause in _clauses(found[2]))
    return bool(_TYPE.match(statement))


def _is_free_column(clause: str) -> bool:
    """A column that rows of a LiteLLM that does not know the column can leave out."""
    found = _COLUMN.fullmatch(clause)
    if not found or _TIES.search(found[2]):
        return False
    return bool(_DEFAULT.search(found[2])) or not _REQUIRED.search(found[2])


def _clauses(text: str) -> list[str]:
    """The parts between commas outside of brackets."""
    parts, depth = [""], 0
    for sign in text:
        depth += (sign in "([") - (sign in ")]")
        if sign == "," and not depth:
            parts.append("")
        else:
            parts[-1] += sign
    return [part.strip() for part in parts]
