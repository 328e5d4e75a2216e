"""Files of Ansible Vault in parts: the same format as VaultLib's, in both directions."""

from __future__ import annotations

import io
import tracemalloc
from pathlib import Path
from typing import BinaryIO

import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.inference.fleet.plugins.plugin_utils import vault_stream
from ansible_collections.inference.fleet.plugins.plugin_utils.backup import is_cut_off
from ansible_collections.inference.fleet.plugins.plugin_utils.vault_stream import (
    PartReader,
    VaultWriter,
    count_digits,
    decrypted,
    is_vault,
    right_password,
)
from hypothesis import given, settings, strategies

PASSWORD = b"correct horse"


def lib() -> VaultLib:
    return VaultLib([("default", VaultSecret(PASSWORD))])


def encrypted(*parts: bytes) -> bytes:
    file = io.BytesIO()
    writer = VaultWriter(file, PASSWORD)
    for part in parts:
        assert writer.write(part) == len(part)
    writer.finish()
    return file.getvalue()


def read(file: BinaryIO, size: int = 7) -> bytes:
    reader = decrypted(file, PASSWORD)
    return b"".join(iter(lambda: reader.read(size), b""))


@settings(max_examples=30)
@given(strategies.lists(strategies.binary(max_size=200)))
def test_ansible_vault_reads_what_is_written_in_parts(parts: list[bytes]) -> None:
    data = encrypted(*parts)
    assert bytes(lib().decrypt(data)) == b"".join(parts)
    assert {len(line) for line in data.splitlines()[1:-1]} <= {80}
    assert data.endswith(b"\n")


@settings(max_examples=30)
@given(strategies.binary(max_size=500), strategies.integers(1, 600))
def test_what_ansible_vault_wrote_is_read_in_parts(content: bytes, size: int) -> None:
    """Earlier versions of the collection wrote backups with it."""
    data = bytes(lib().encrypt(content, VaultSecret(PASSWORD)))
    assert right_password(io.BytesIO(data), [b"wrong", PASSWORD]) == PASSWORD
    assert read(io.BytesIO(data), size) == content
    assert read(io.BytesIO(data.replace(b"\n", b"\r\n")), size) == content


@given(strategies.lists(strategies.binary(min_size=1, max_size=9)), strategies.integers(1, 20))
def test_parts_are_read_in_any_sizes(parts: list[bytes], size: int) -> None:
    reader = PartReader(iter(parts))
    found = list(iter(lambda: reader.read(size), b""))
    assert b"".join(found) == b"".join(parts)
    assert {len(one) for one in found[:-1]} <= {size}


def test_a_label_of_the_password_is_read_past() -> None:
    data = bytes(lib().encrypt(b"x", VaultSecret(PASSWORD), vault_id="prod"))
    assert data.startswith(b"$ANSIBLE_VAULT;1.2;AES256;prod\n")
    assert read(io.BytesIO(data)) == b"x"


def test_no_password_is_right_for_a_changed_file() -> None:
    data = encrypted(b"x" * 1000)
    assert right_password(io.BytesIO(data), [b"wrong"]) is None
    assert right_password(io.BytesIO(data), []) is None
    for place in (30, 200, 700, len(data) - 3):
        digit = b"7" if data[place : place + 1] != b"7" else b"6"
        assert right_password(io.BytesIO(data[:place] + digit + data[place + 1 :]), [PASSWORD]) is None, place


@pytest.mark.parametrize("data", [b"", b"$ANSIBLE_VAULT;1.1;AES256\n", b"$ANSIBLE_VAULT;1.1;AES256\nxyz\n", b"a: 1\n"])
def test_what_is_no_vault_file_has_no_password(data: bytes) -> None:
    assert right_password(io.BytesIO(data), [PASSWORD]) is None
    assert is_vault(io.BytesIO(data)) is data.startswith(b"$ANSIBLE")


@pytest.mark.parametrize("size", [0, 10_240, 51_200])
def test_a_tar_file_is_known_to_be_whole_or_cut_off_without_its_password(size: int) -> None:
    def cut_off(data: bytes) -> bool:
        return is_cut_off(count_digits(io.BytesIO(data)))

    whole = encrypted(b"\0" * size)
    assert not cut_off(whole)
    assert not cut_off(whole.replace(b"\n", b"\r\n"))
    lines = whole.splitlines(keepends=True)
    assert all(cut_off(b"".join(lines[:-gone])) for gone in range(1, min(100, len(lines) - 1)))
    assert all(cut_off(whole[:-gone]) for gone in range(2, 300))


def test_needs_the_memory_of_a_part_and_not_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_stream, "_PART", 10_000)
    part, parts = b"\xff" * 10_000, 200
    tracemalloc.start()
    try:
        with (tmp_path / "file").open("w+b") as file:
            writer = VaultWriter(file, PASSWORD)
            for _part in range(parts):
                writer.write(part)
            writer.finish()
            assert right_password(file, [PASSWORD]) == PASSWORD
            reader = decrypted(file, PASSWORD)
            assert sum(len(part) for part in iter(lambda: reader.read(10_000), b"")) == len(part) * parts
        _now, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < len(part) * parts / 4
