"""The list of planted faults matches the present files and tests."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from ansible_collections.inference.fleet.tests.mutations.mutation import ROOT, Mutation, load

MUTATIONS = load()


def test_there_are_a_hundred_and_few_of_them_need_the_lab() -> None:
    kinds = Counter(one.kind for one in MUTATIONS)
    assert sum(kinds.values()) == len({one.id for one in MUTATIONS}) == 100
    assert kinds.keys() == {"unit", "lint", "molecule"}
    assert kinds["molecule"] <= 15


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda one: one.id)
def test_each_changes_its_file_and_names_tests_that_exist(mutation: Mutation) -> None:
    assert mutation.stale(ROOT) == ""
    assert mutation.text != mutation.mutant
    paths = [one for one in mutation.tests if "/" in one]
    assert paths
    assert [path for path in paths if not (ROOT / path.partition("::")[0]).exists()] == []


@pytest.mark.parametrize(("content", "found"), [("a b", 0), ("x x", 2), (None, 0)])
def test_a_text_that_is_not_there_once_is_stale(content: str | None, found: int, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "some.py").write_text(content)
    mutation = Mutation("fleet", "some.py", "x", "y", "unit", ())
    assert mutation.stale(tmp_path) == f"fleet: some.py: expected once, found {found} times: 'x'"


def test_applies_to_its_text_alone(tmp_path: Path) -> None:
    (tmp_path / "some.py").write_text("if x:\n    z\n")
    Mutation("fleet", "some.py", "x", "not x", "unit", ()).apply(tmp_path)
    assert (tmp_path / "some.py").read_text() == "if not x:\n    z\n"
