"""The tables of clients in docs/access.md: pins, marks and what is written between them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TESTS))

from lab import clients  # noqa: E402  # found by the path above

FOUND = {
    client.name: {"chat": "works", "tools": "fails: no", **dict.fromkeys(clients.ERRORS, "raises SomeError (400)")}
    for client in clients.CLIENTS
}


@pytest.mark.parametrize("client", clients.CLIENTS, ids=lambda client: client.name)
def test_a_client_has_a_driver_and_a_version(client: clients.Client) -> None:
    assert (clients.DRIVERS / client.driver).is_file()
    assert client.version[0].isdigit()


def test_every_driver_is_of_a_client() -> None:
    assert {file.name for file in clients.DRIVERS.glob("drive_*")} == {client.driver for client in clients.CLIENTS}


def test_tables_have_what_works_and_what_is_raised() -> None:
    tables = clients.tables(FOUND)
    assert all(line.endswith("| chat |") for line in tables["clients"].splitlines()[2:])
    assert f"| wrong key | 401 |{' `SomeError` |' * clients.RAISING}" in tables["errors"]


def test_tables_go_between_the_marks_of_the_page() -> None:
    page = (clients.ROOT / "docs" / "access.md").read_text()
    tables = clients.tables(FOUND)
    written = clients.between_marks(page, tables)
    assert all(table in written for table in tables.values())
    assert clients.between_marks(written, tables) == written
    assert written.count("\n## ") == page.count("\n## ")
    with pytest.raises(AssertionError, match="no marks of the table clients"):
        clients.between_marks(page.replace("<!-- end of clients -->", ""), tables)
