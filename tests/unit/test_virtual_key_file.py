"""inference.fleet.virtual_key_file, the action and the lookup: the admin's file of keys, on the controller."""

from __future__ import annotations

import re
import stat
import threading
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import yaml
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret, is_encrypted_file
from ansible_collections.inference.fleet.plugins.action.virtual_key_file import ActionModule
from ansible_collections.inference.fleet.plugins.lookup.virtual_key_values import LookupModule
from ansible_collections.inference.fleet.plugins.plugin_utils.key_store import KeyStore

VALUE = "sk-0123456789abcdef"
OTHER = "sk-fedcba9876543210"
Answer = dict[str, Any]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "fleet-keys.yml"


@pytest.fixture
def password_file(tmp_path: Path) -> Path:
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    return file


def loader(*passwords: str) -> DataLoader:
    """With the vault passwords that ansible-playbook was given."""
    made = DataLoader()
    made.set_vault_secrets([("default", VaultSecret(password.encode())) for password in passwords])
    return made


def vaulted(text: str, password: str) -> str:
    return str(VaultLib([("default", VaultSecret(password.encode()))]).encrypt(text).decode())


def act(
    path: Path,
    *missing: str,
    check: bool = False,
    entries: list[dict[str, Any]] | None = None,
    elsewhere: Any = None,
    passwords: tuple[str, ...] = (),
    **arguments: Any,
) -> Answer:
    """The action's answer where the one host of the play lacks these keys. elsewhere: another host's list."""
    entries = [{"alias": alias} for alias in missing] if entries is None else entries
    task = Mock(
        args={"path": str(path), "observed": {"gpu1": {"missing": list(missing), "tokens": {}}}, **arguments},
        check_mode=check,
    )
    task_vars = {
        "groups": {"fleet": ["gpu1", "gpu2"]},
        "ansible_play_hosts": ["gpu1"],
        "hostvars": {"gpu1": {"fleet_keys": entries}, "gpu2": {"fleet_keys": elsewhere}},
    }
    answer: Answer = ActionModule(task, Mock(), Mock(), loader(*passwords), Mock(), Mock()).run(task_vars=task_vars)
    return answer


def keys(path: Path) -> dict[str, str]:
    found: dict[str, str] = yaml.safe_load(path.read_text())
    return found


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# Written files


def test_generates_what_is_missing_once_and_keeps_it(path: Path) -> None:
    first = act(path, "b", "a")
    assert (first["changed"], first["new"], first["aliases"], first["path"]) == (
        True,
        ["a", "b"],
        ["a", "b"],
        str(path),
    )
    kept = keys(path)
    assert all(re.fullmatch(r"sk-[\w-]{43}", value) for value in kept.values())
    assert len(set(kept.values())) == 2
    again = act(path, "b", "a")
    assert (again["changed"], again["new"], again["aliases"]) == (False, [], ["a", "b"])
    assert keys(path) == kept


def test_the_answer_and_the_diff_hold_no_key(path: Path) -> None:
    path.write_text(f"old: {VALUE}\n")
    answer = act(path, "new", entries=[{"alias": "old", "state": "absent"}, {"alias": "new"}])
    assert "sk-" not in str(answer)
    assert answer["diff"]["before"] == "old: (secret)\n"
    assert answer["diff"]["after"] == "new: (secret)\n"


def test_only_its_owner_reads_it(path: Path) -> None:
    act(path, "a")
    assert mode(path) == 0o600
    path.chmod(0o644)
    kept = keys(path)
    assert act(path)["changed"] is True
    assert (mode(path), keys(path), act(path)["changed"]) == (0o600, kept, False)


def test_there_is_no_file_where_no_key_needs_one(path: Path) -> None:
    assert act(path)["changed"] is False
    assert not path.exists()


def test_values_that_a_person_wrote_are_kept_and_absent_ones_go(path: Path) -> None:
    path.write_text(f"mine: {VALUE}\nold: {OTHER}\n")
    answer = act(path, "new", entries=[{"alias": "old", "state": "absent"}, {"alias": "new"}])
    assert (answer["gone"], set(keys(path)), keys(path)["mine"]) == (["old"], {"mine", "new"}, VALUE)


def test_a_host_that_this_run_leaves_out_keeps_its_keys_values(path: Path) -> None:
    path.write_text(f"app: {VALUE}\n")
    gone = [{"alias": "app", "state": "absent"}]
    assert act(path, entries=gone, elsewhere=[{"alias": "app"}])["gone"] == []
    assert act(path, entries=gone, elsewhere=["no mapping", {"ailas": "app"}])["gone"] == ["app"]


def test_check_mode_writes_nothing_and_says_what_it_would(path: Path) -> None:
    answer = act(path, "a", check=True)
    assert (answer["changed"], answer["new"], answer["aliases"]) == (True, ["a"], ["a"])
    assert not path.exists()
    assert list(path.parent.iterdir()) == []


def test_a_link_stays_one(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    real = tmp_path / "elsewhere" / "keys.yml"
    real.write_text(f"a: {VALUE}\n")
    path.symlink_to(real)
    assert act(path, "b")["path"] == str(real)
    assert path.is_symlink()
    assert set(keys(real)) == {"a", "b"}


def test_nothing_is_left_beside_it_when_writing_fails(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_text(f"a: {VALUE}\n")
    path.chmod(0o600)

    def full(*_arguments: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    assert act(path, "b") == {
        "failed": True,
        "msg": f"no key was changed:\n{path}: cannot be written: No space left on device",
    }
    assert (list(path.parent.iterdir()), keys(path)) == ([path], {"a": VALUE})


def test_names_that_yaml_reads_as_something_else_come_back_as_they_were(path: Path) -> None:
    odd = ["yes", "1", "null", "a: b", "#x", "2027-01-31", "Ünï", "- a", "x" * 255, "&a", "'", '"']
    act(path, *odd)
    assert set(keys(path)) == set(odd)
    assert act(path, *odd)["changed"] is False


def test_runs_that_go_at_once_lose_nothing(path: Path) -> None:
    threads = [threading.Thread(target=act, args=(path, f"key-{number}")) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(keys(path)) == {f"key-{number}" for number in range(8)}


# Refusals


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", ": is not YAML, line 1"),
        ("a: 2026-13-45\n", ": is not YAML"),  # PyYAML raises ValueError for such a day
        (f"{'[' * 3000}{']' * 3000}\n", ": is not YAML"),
        ("- a\n", ": expected a mapping of aliases to keys"),
        ("just text", ": expected a mapping of aliases to keys"),
        (f"a: {VALUE}\nb: 7\n", ": b: expected a key, sk- and at least 16 characters; what was found is not shown"),
        (
            "a: pk-0123456789abcdef\n",
            ": a: expected a key, sk- and at least 16 characters; what was found is not shown",
        ),
        (f"1: {VALUE}\n", ": 1: expected a key, sk- and at least 16 characters; what was found is not shown"),
    ],
)
def test_a_file_that_is_something_else_is_left_alone(path: Path, text: str, told: str) -> None:
    path.write_text(text)
    assert act(path, "new") == {"failed": True, "msg": f"no key was changed:\n{path}{told}"}
    assert path.read_text() == text


def test_a_folder_that_is_missing_is_told(tmp_path: Path) -> None:
    answer = act(tmp_path / "none" / "keys.yml", "a")
    assert answer["msg"] == (
        f"no key was changed:\n{tmp_path}/none: No such file or directory; it is the folder of the key file"
    )


def test_a_path_that_is_a_folder_is_told(tmp_path: Path) -> None:
    assert act(tmp_path, "a")["msg"] == f"no key was changed:\n{tmp_path}: Is a directory"


# Ansible Vault


def test_with_a_password_the_file_is_encrypted(path: Path, password_file: Path) -> None:
    answer = act(path, "a", vault_password_file=str(password_file))
    assert (answer["encrypted"], mode(path)) == (True, 0o600)
    assert path.read_text().startswith("$ANSIBLE_VAULT;")
    kept = lookup(path, vault_password_file=str(password_file))
    assert list(kept) == ["a"]
    assert act(path, "a", vault_password_file=str(password_file))["changed"] is False
    assert lookup(path, passwords=("correct horse",)) == kept


def test_a_plain_file_is_encrypted_once_there_is_a_password(path: Path, password_file: Path) -> None:
    act(path, "a")
    kept = keys(path)
    assert act(path, vault_password_file=str(password_file), check=True)["changed"] is True
    assert not path.read_text().startswith("$ANSIBLE_VAULT;")
    assert act(path, vault_password_file=str(password_file))["changed"] is True
    assert path.read_text().startswith("$ANSIBLE_VAULT;")
    assert lookup(path, vault_password_file=str(password_file)) == kept


def test_an_encrypted_file_stays_so_with_the_password_that_ansible_was_given(path: Path) -> None:
    path.write_text(vaulted(f"a: {VALUE}\n", "second"))
    path.chmod(0o600)
    passwords = ("first", "second")
    assert act(path, "a", passwords=passwords)["changed"] is False
    answer = act(path, "b", passwords=passwords)
    assert (answer["changed"], answer["encrypted"]) == (True, True)
    assert path.read_text().startswith("$ANSIBLE_VAULT;")
    assert set(lookup(path, passwords=("second",))) == {"a", "b"}


def test_an_encrypted_file_that_nobody_can_open_is_left_alone(path: Path, password_file: Path) -> None:
    text = vaulted(f"a: {VALUE}\n", "another")
    path.write_text(text)
    for arguments in ({}, {"passwords": ("wrong",)}, {"vault_password_file": str(password_file)}):
        answer = act(path, "b", **arguments)  # type: ignore[arg-type]
        assert answer["msg"] == (
            f"no key was changed:\n{path}: is encrypted by Ansible Vault, and no given password decrypts it; give "
            "fleet_keys_vault_password_file, or --vault-password-file to ansible-playbook"
        )
    assert path.read_text() == text


def test_the_password_may_be_changed(path: Path, password_file: Path) -> None:
    """The old one from ansible-playbook's options, the new one from the variable."""
    path.write_text(vaulted(f"a: {VALUE}\n", "old"))
    assert act(path, passwords=("old",), vault_password_file=str(password_file))["changed"] is True
    assert lookup(path, vault_password_file=str(password_file)) == {"a": VALUE}


def test_a_program_may_give_the_password(path: Path, tmp_path: Path) -> None:
    program = tmp_path / "password.sh"
    program.write_text("#!/bin/sh\necho correct horse\n")
    program.chmod(0o700)
    act(path, "a", vault_password_file=str(program))
    assert list(lookup(path, passwords=("correct horse",))) == ["a"]


def test_a_password_file_that_is_missing_is_told(path: Path, tmp_path: Path) -> None:
    answer = act(path, "a", vault_password_file=str(tmp_path / "none"))
    assert answer["failed"] is True
    assert answer["msg"].startswith("no key was changed:\nfleet_keys_vault_password_file: ")
    assert not path.exists()


# The lookup


def lookup(path: Path, passwords: tuple[str, ...] = (), **options: Any) -> dict[str, str]:
    plugin = LookupModule(loader=loader(*passwords))
    plugin.set_options = Mock()  # Ansible's reading of DOCUMENTATION
    plugin.get_option = options.get
    found: list[dict[str, str]] = plugin.run([str(path)])
    return found[0]


def test_the_lookup_gives_the_file(path: Path) -> None:
    assert lookup(path) == {}
    path.write_text(f"a: {VALUE}\n")
    assert lookup(path) == {"a": VALUE}


def test_the_lookup_tells_what_is_wrong_and_shows_no_value(path: Path) -> None:
    path.write_text(f"{VALUE}\n")
    with pytest.raises(AnsibleLookupError, match="expected a mapping of aliases to keys") as caught:
        lookup(path)
    assert VALUE not in str(caught.value)


def test_a_file_that_was_read_is_known_to_be_encrypted(path: Path) -> None:
    path.write_text(vaulted(f"a: {VALUE}\n", "x"))
    file = KeyStore(str(path), loader("x"))
    file.read()
    assert file.encrypted
    assert is_encrypted_file(path.open("rb"))
