"""The variables of a host with the files that they name read in, on the controller."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.inference.fleet.plugins.plugin_utils.inventory import fleet_variables
from ansible_collections.inference.fleet.tests.unit.authority import Pair, issue

SECRET = VaultSecret(b"password")


def read(folder: Path, https: Any, loader: DataLoader | None = None, **others: Any) -> tuple[Any, list[str]]:
    variables = {"fleet_https": https, "inventory_dir": str(folder), **others}
    given, faults = fleet_variables(variables, Mock(template=lambda value: value), loader or DataLoader())
    return given["fleet_https"], faults


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """Shorter than pytest's own, which has the worker's name in it: an error shows a long path only in part."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    made = issue("*.example.com", "llm.example.com")
    (tmp_path / "tls").mkdir()
    (tmp_path / "tls/llm.crt").write_text(made.cert)
    (tmp_path / "tls/llm.key").write_text(made.key)
    return made


def test_files_are_read_and_the_names_are_the_certificates(tmp_path: Path, pair: Pair) -> None:
    given = {"mode": "files", "cert": "tls/llm.crt", "key": str(tmp_path / "tls/llm.key")}
    assert read(tmp_path, given) == (
        {"mode": "files", "cert": pair.cert, "key": pair.key, "names": ["llm.example.com", "*.example.com"]},
        [],
    )


def test_names_that_were_given_stay(tmp_path: Path, pair: Pair) -> None:
    given = {"mode": "files", "cert": pair.cert, "key": pair.key, "names": ["a.example.com"]}
    assert read(tmp_path, given) == (given, [])


def test_a_file_that_is_vaulted_is_decrypted(tmp_path: Path, pair: Pair) -> None:
    loader = DataLoader()
    loader.set_vault_secrets([("default", SECRET)])
    path = tmp_path / "tls/llm.key"
    path.write_bytes(VaultLib([("default", SECRET)]).encrypt(pair.key, SECRET))
    given = {"mode": "files", "cert": pair.cert, "key": str(path)}
    assert read(tmp_path, given, loader)[0]["key"] == pair.key
    assert read(tmp_path, given)[1] == [
        f"fleet_https.key: {str(path)!r} cannot be read; "
        "check its permissions and, if it is encrypted, give the vault password: "
        "--ask-vault-pass or --vault-password-file"
    ]


def test_without_an_inventory_file_the_playbook_says_where(tmp_path: Path, pair: Pair) -> None:
    given = {"mode": "acme", "directory_root": "tls/llm.crt"}
    assert read(Path(), given, inventory_dir=None, playbook_dir=str(tmp_path))[0]["directory_root"] == pair.cert


@pytest.mark.parametrize("key", ["MC4CAQAwBQYDK2VwBCIEIGJ5", "c2VjcmV0/c2VjcmV0", "x." + "A" * 300])
def test_a_key_that_looks_like_a_path_is_not_shown(tmp_path: Path, key: str) -> None:
    assert read(tmp_path, {"key": key})[1] == [
        "fleet_https.key: what was found (not shown) is no file on this machine; expected PEM text or a file of it"
    ]


def test_a_path_that_is_wrong_is_shown(tmp_path: Path) -> None:
    (tmp_path / "folder.d").mkdir()
    (tmp_path / "der.crt").write_bytes(b"\x30\x82\xff")
    (tmp_path / "large.crt").write_bytes(b"x" * 1_000_001)
    given = {"cert": "tls/none.crt", "key": "folder.d", "directory_root": "der.crt"}
    where = f"'{tmp_path}"
    assert read(tmp_path, given)[1] == [
        f"fleet_https.cert: {where}/tls/none.crt' is no file on this machine; expected PEM text or a file of it",
        f"fleet_https.key: {where}/folder.d' is no file on this machine; expected PEM text or a file of it",
        f"fleet_https.directory_root: {where}/der.crt' is not text; "
        "expected PEM (openssl x509 and openssl pkey convert from DER)",
    ]
    assert read(tmp_path, {"cert": "large.crt"})[1] == [
        f"fleet_https.cert: {where}/large.crt' is larger than 1 MB; expected a file of PEM text"
    ]


@pytest.mark.parametrize(
    "https",
    [None, "internal", [], {"names": ["x"], "cert": 7, "key": None}, {"cert": "", "names": 1}, {"mode": ["files"]}],
)
def test_what_names_no_file_is_left_for_the_model_to_judge(tmp_path: Path, https: Any) -> None:
    assert read(tmp_path, https) == (https, [])


def test_without_names_it_is_what_the_host_is_reached_by() -> None:
    variables = {"ansible_host": "10.0.0.7", "inventory_hostname": "gpu 1", "other": 1, "fleet": 2}
    assert fleet_variables(variables, Mock(template=lambda value: value), None) == (
        {"fleet_https": {"names": ["10.0.0.7", "localhost"]}},
        [],
    )
