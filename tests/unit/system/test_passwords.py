"""Hashes of passwords."""

from __future__ import annotations

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.system.passwords import hashed, is_password


def test_the_hash_of_a_password_is_of_this_password_alone() -> None:
    stored = hashed("correct horse")
    assert stored.startswith("scrypt$16384$8$5$")
    assert is_password("correct horse", stored)
    assert not is_password("correct horse ", stored)


def test_two_hashes_of_a_password_differ() -> None:
    assert hashed("correct horse") != hashed("correct horse")


def test_a_hash_with_other_costs_is_read() -> None:
    assert is_password("correct horse", hashed("correct horse", n=1 << 10, p=1))


@pytest.mark.parametrize("text", ["", "correct horse", "scrypt$16384$8$5$!$!", "scrypt$a$8$1$YQ==$YQ=="])
def test_what_is_no_hash_is_of_no_password(text: str) -> None:
    assert not is_password("correct horse", text)
