"""inference.fleet.host_backup, backup_info and backup_load: one encrypted file on the controller, or none."""

from __future__ import annotations

import base64
import hashlib
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from ansible.errors import AnsibleLookupError
from ansible.parsing.dataloader import DataLoader
from ansible.parsing.vault import VaultLib, VaultSecret
from ansible_collections.inference.fleet.plugins.action import backup_info, backup_load, host_backup
from ansible_collections.inference.fleet.plugins.lookup.backup_secrets import LookupModule
from ansible_collections.inference.fleet.plugins.module_utils.inventory.paths import DUMP as FILE
from ansible_collections.inference.fleet.plugins.plugin_utils.backup import About, Backup, file_name
from ansible_collections.inference.fleet.tests.unit.plugin_utils.test_backup import described, packed, tar

Answer = dict[str, Any]
SALT = "sk-salt-salt-salt"
DUMP = b"PGDMP of gpu1"


def loader(*passwords: str) -> DataLoader:
    """With the vault passwords that ansible-playbook was given."""
    made = DataLoader()
    made.set_vault_secrets([("default", VaultSecret(password.encode())) for password in passwords])
    return made


class Host:
    """A host with PostgreSQL and secrets, and the file of the dump.

    refuses: what pg_restore says of any dump. large: the size of a dump with the spend logs, if not that of `dump`.
    damage: replaces the dump on its way to the controller.
    """

    def __init__(
        self, version: str = "15.20", refuses: str = "", dump: bytes = DUMP, large: int = 0, damage: bytes = b""
    ) -> None:
        self.version = version
        self.dump = dump
        self.refuses = refuses
        self.large = large
        self.damage = damage
        self.file: bytes | None = None
        self.loaded: list[bytes] = []
        self.checked: list[bytes] = []
        self.commands: list[str] = []

    def __call__(self, command: str, in_data: bytes) -> Answer:
        self.commands.append(command)
        answer = self.answer(command, in_data)
        return {"rc": 0, "stdout": "", "stderr": "", **(answer if isinstance(answer, dict) else {"stdout": answer})}

    def answer(self, command: str, in_data: bytes) -> Answer | str:
        if command.startswith("tar "):
            return base64.b64encode(tar(secrets__salt_key=SALT.encode())).decode()
        if f"rm -f {FILE}" in command:
            self.file = None
            return "Avail\n100000000\n"
        if "pg_dump" in command:
            self.file = b"x" * self.large if self.large and "--exclude-table-data" not in command else self.dump
            return {"stdout": f"{len(self.file)}\n{self.digest()}  -\n", "stderr": "0\n"}
        if command.startswith("dd "):
            return base64.b64encode(self.damage or self.file or b"").decode()
        if "cat >>" in command:
            self.file = (self.file or b"") + in_data
        if command.startswith("sha256sum"):
            return self.digest()
        if "pg_restore" in command and "--list" not in command:
            (self.checked if "/dev/null" in command else self.loaded).append(self.file or b"")
            return {"rc": 1 if self.refuses else 0, "stderr": self.refuses}
        return f"{self.version}\n" if "server_version" in command else "97\n"

    def digest(self) -> str:
        return hashlib.sha256(self.file or b"").hexdigest()


def act(
    plugin: Any,
    arguments: Mapping[str, Any],
    host: Host | None = None,
    passwords: tuple[str, ...] = ("correct horse",),
    check: bool = False,
    **task_vars: Any,
) -> Answer:
    """The action's answer on gpu1."""
    task = Mock(args=dict(arguments), check_mode=check)
    templar = Mock(template=lambda value: value)
    action = plugin.ActionModule(task, Mock(), Mock(), loader(*passwords), templar, Mock())
    action._low_level_execute_command = host or Host()
    answer: Answer = action.run(task_vars={"inventory_hostname": "gpu1", **task_vars})
    return answer


def back_up(folder: Path, host: Host | None = None, keep: int = 14, copy: bool = False, **more: Any) -> Answer:
    arguments = {"folder": str(folder), "keep": keep, "spend_logs": True, "max_mb": 1, "config_folder": "/etc/x"}
    arguments["copy"] = copy
    return act(host_backup, arguments, host, **more)


def written(path: Path, backup: Backup, password: str = "correct horse") -> Path:
    secret = VaultSecret(password.encode())
    path.write_bytes(VaultLib([("default", secret)]).encrypt(packed(backup, DUMP), secret))
    return path


def a_backup(**about: Any) -> Backup:
    known = {"host": "gpu1", "made": "20261124T024011Z", "postgres": "15.18", "collection": "0.1.0", **about}
    return Backup(About(**known), {"salt_key": SALT}, described(DUMP))


# host_backup


def test_writes_one_encrypted_file_of_its_owners_alone(tmp_path: Path) -> None:
    folder, host = tmp_path / "made" / "backups", Host()
    answer = back_up(folder, host)
    (file,) = folder.iterdir()
    assert (answer["path"], answer["size"], answer["removed"]) == (str(file), file.stat().st_size, [])
    assert re.fullmatch(r"gpu1-\d{8}T\d{6}Z\.fleet-backup", file.name)
    assert (stat.S_IMODE(file.stat().st_mode), stat.S_IMODE(folder.stat().st_mode)) == (0o600, 0o700)
    assert file.read_bytes().startswith(b"$ANSIBLE_VAULT;")
    assert host.checked == [DUMP], "the database was not asked to read the dump"
    assert host.file is None, "the dump is left on the host"


def test_without_a_password_nothing_is_written(tmp_path: Path) -> None:
    answer = back_up(tmp_path, passwords=())
    assert answer["failed"] and "a backup is never written unencrypted" in answer["msg"]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("check", [False, True])
def test_without_a_password_the_database_is_copied_where_that_is_asked_for(tmp_path: Path, check: bool) -> None:
    host = Host()
    answer = back_up(tmp_path, host, passwords=(), copy=True, check=check)
    assert (answer["path"], answer["database"], answer["spend_logs"]) == ("", "litellm_before_migrations", False)
    assert not list(tmp_path.iterdir())
    assert host.loaded == ([] if check else [DUMP])
    assert host.file is None
    renamed = [one for one in host.commands if "RENAME TO litellm_before_migrations" in one]
    assert len(renamed) == (not check)


def test_with_a_password_the_file_is_written(tmp_path: Path) -> None:
    answer = back_up(tmp_path, copy=True)
    assert (answer["path"], answer["database"]) == (str(*tmp_path.iterdir()), "")


def test_a_copy_that_fails_leaves_no_dump(tmp_path: Path) -> None:
    host = Host(refuses="no")
    answer = back_up(tmp_path, host, passwords=(), copy=True)
    assert answer["failed"] and host.file is None


def test_a_password_file_goes_before_the_passwords_of_the_run(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("of the file\n")
    arguments = {"folder": str(tmp_path / "b"), "keep": 1, "spend_logs": True, "max_mb": 1, "config_folder": "/etc/x"}
    answer = act(host_backup, {**arguments, "vault_password_file": str(tmp_path / "password")})
    told = act(backup_info, {"path": answer["path"]}, passwords=("of the file",))
    assert told["about"]["host"] == "gpu1"


def test_check_mode_writes_and_removes_nothing(tmp_path: Path) -> None:
    old = tmp_path / file_name("gpu1", "20200101T000000Z")
    old.write_text("old")
    answer = back_up(tmp_path, keep=1, check=True)
    assert (answer["removed"], answer["size"]) == ([str(old)], None)
    assert list(tmp_path.iterdir()) == [old]


def test_one_that_the_database_cannot_read_is_not_kept_and_removes_none(tmp_path: Path) -> None:
    old = tmp_path / file_name("gpu1", "20200101T000000Z")
    old.write_text("old")
    answer = back_up(tmp_path, Host(refuses="pg_restore: error: end of file"), keep=1)
    assert answer["msg"] == "no backup of gpu1 was made, and none was removed: pg_restore: error: end of file"
    assert list(tmp_path.iterdir()) == [old]


def test_spend_logs_that_are_too_large_are_left_out_with_a_warning(tmp_path: Path) -> None:
    host = Host(large=1_000_001)
    answer = back_up(tmp_path, host)
    assert answer["spend_logs"] is False
    assert answer["warnings"] == [
        f"{answer['path']} has no spend logs: with them, the dump of the database has more than 1 MB, "
        "fleet_backup.max_mb; raise max_mb, or keep fewer days of them (fleet_litellm.spend_log_days)"
    ]
    about = act(backup_info, {"path": answer["path"]})["about"]
    assert about["spend_logs"] is False
    assert host.checked == [DUMP]


def test_without_such_spend_logs_there_is_no_warning(tmp_path: Path) -> None:
    answer = back_up(tmp_path, Host(large=999_999))
    assert (answer["spend_logs"], answer["warnings"]) == (True, [])
    assert act(backup_info, {"path": answer["path"]})["about"]["spend_logs"] is True


def test_keys_that_are_too_large_fail(tmp_path: Path) -> None:
    host = Host(dump=b"x" * 1_000_001)
    assert back_up(tmp_path, host)["msg"] == (
        "no backup of gpu1 was made, and none was removed: the dump of the database has more than 1 MB, "
        "fleet_backup.max_mb, and that without spend logs; raise max_mb, or free space"
    )
    assert host.file is None and not list(tmp_path.iterdir())


def test_a_dump_that_changed_on_its_way_is_no_backup(tmp_path: Path) -> None:
    host = Host(damage=DUMP.replace(b"gpu1", b"gpu2"))
    answer = back_up(tmp_path, host)
    assert "is a backup with changed parts: database.dump" in answer["msg"]
    assert host.file is None and not list(tmp_path.iterdir())


def test_a_dump_that_arrives_cut_off_is_no_backup(tmp_path: Path) -> None:
    host = Host(damage=DUMP[:-1])
    answer = back_up(tmp_path, host)
    assert "the host's answer is incomplete" in answer["msg"]
    assert host.file is None and not list(tmp_path.iterdir())


def test_a_disk_that_gives_back_something_else_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_backup, "read", lambda _path, _vault: a_backup())
    answer = back_up(tmp_path)
    assert "the file on the disk differs from what was written" in answer["msg"]
    assert not list(tmp_path.iterdir())


def test_older_ones_go_when_the_new_one_is_good(tmp_path: Path) -> None:
    olds = [tmp_path / file_name("gpu1", f"202001{day:02}T000000Z") for day in range(1, 4)]
    for old in olds:
        old.write_text("old")
    answer = back_up(tmp_path, keep=2)
    assert answer["removed"] == [str(old) for old in olds[:2]]
    assert sorted(tmp_path.iterdir()) == sorted([olds[2], Path(answer["path"])])


def test_what_a_cut_off_run_left_of_the_same_host_is_taken_away(tmp_path: Path) -> None:
    mine, others = tmp_path / ".gpu1.x1.fleet-backup.part", tmp_path / ".gpu2.x1.fleet-backup.part"
    mine.write_text("half")
    others.write_text("half, and maybe being written")
    back_up(tmp_path)
    assert not mine.exists() and others.exists()


def test_a_folder_that_ansible_reads_as_inventory_is_refused(tmp_path: Path) -> None:
    sources = [str(tmp_path)]
    assert "is in the folder of an inventory" in back_up(tmp_path / "b", ansible_inventory_sources=sources)["msg"]
    assert "is in the folder of an inventory" in back_up(tmp_path, ansible_inventory_sources=sources)["msg"]
    assert back_up(tmp_path / ".b", ansible_inventory_sources=sources)["size"]


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert f"{tmp_path}/file: File exists; the backup was to be written there" in back_up(tmp_path / "file")["msg"]


# backup_info


def test_tells_what_a_backup_is_of_and_no_secret(tmp_path: Path) -> None:
    answer = act(backup_info, {"path": str(written(tmp_path / "b", a_backup()))})
    assert answer["in_words"] == "gpu1 as it was on 2026-11-24 at 02:40:11 UTC, PostgreSQL 15.18"
    assert answer["secrets"] == ["salt_key"]
    assert SALT not in str(answer)


@pytest.mark.parametrize(("other_host", "failed"), [("true", False), (True, False), ("false", True), (None, True)])
def test_that_of_another_host_is_taken_if_it_is_meant(tmp_path: Path, other_host: Any, failed: bool) -> None:
    path = written(tmp_path / "b", a_backup(host="gpu0"))
    answer = act(backup_info, {"path": str(path), **({} if other_host is None else {"other_host": other_host})})
    assert answer.get("failed", False) is failed
    if failed:
        assert "is of another host: gpu0 as it was on" in answer["msg"] and "-e other_host=true" in answer["msg"]


def test_another_salt_key_in_the_inventory_is_refused_and_the_same_taken(tmp_path: Path) -> None:
    path = str(written(tmp_path / "b", a_backup()))
    assert "failed" not in act(backup_info, {"path": path}, fleet_secrets={"salt_key": SALT})
    answer = act(backup_info, {"path": path}, fleet_secrets={"salt_key": "sk-of-another"})
    assert answer["msg"].startswith("nothing was touched; fleet_secrets.salt_key: differs from the backup's")
    assert SALT not in answer["msg"]


@pytest.mark.parametrize(
    ("passwords", "message"),
    [(("wrong",), "no given password decrypts it"), ((), "is encrypted by Ansible Vault; give its password")],
)
def test_a_password_that_is_wrong_or_missing_is_told(tmp_path: Path, passwords: tuple[str, ...], message: str) -> None:
    answer = act(backup_info, {"path": str(written(tmp_path / "b", a_backup()))}, passwords=passwords)
    assert f"nothing was touched; {tmp_path}/b: {message}" in answer["msg"]


def test_a_damaged_and_a_missing_file_are_told(tmp_path: Path) -> None:
    path = written(tmp_path / "b", a_backup())
    data = path.read_bytes()
    path.write_bytes(data[:2000] + b"3131" + data[2004:])
    assert "If the password is right, the file is damaged" in act(backup_info, {"path": str(path)})["msg"]
    assert "No such file or directory" in act(backup_info, {"path": str(tmp_path / "none")})["msg"]


def test_a_password_opens_one_among_several(tmp_path: Path) -> None:
    path = written(tmp_path / "b", a_backup())
    assert "failed" not in act(backup_info, {"path": str(path)}, passwords=("another", "correct horse"))


# backup_load and the lookup


def look_up(path: Path, password: str) -> dict[str, str]:
    plugin = LookupModule(loader=loader(password))
    plugin.set_options = Mock()  # Ansible's reading of DOCUMENTATION
    plugin.get_option = Mock(return_value=None)
    (found,) = plugin.run([str(path)])
    return dict(found)


def test_restores_the_dump_beside_the_database_in_use(tmp_path: Path) -> None:
    host = Host()
    answer = act(backup_load, {"path": str(written(tmp_path / "b", a_backup()))}, host)
    assert (answer["database"], answer["empty_before"], host.loaded) == ("litellm_restored", False, [DUMP])
    assert host.file is None, "the dump is left on the host"
    assert answer["before"].startswith("litellm_before_20")


def test_an_older_server_than_the_backups_is_refused(tmp_path: Path) -> None:
    host = Host(version="15.20")
    answer = act(backup_load, {"path": str(written(tmp_path / "b", a_backup(postgres="16.3")))}, host)
    assert "was made by PostgreSQL 16.3, which 15.20 on this host cannot read" in answer["msg"]
    assert host.loaded == []


def test_check_mode_restores_nothing(tmp_path: Path) -> None:
    host = Host()
    assert act(backup_load, {"path": str(tmp_path / "b")}, host, check=True)["changed"] is True
    assert host.loaded == []


def test_the_lookup_gives_the_secrets(tmp_path: Path) -> None:
    path = written(tmp_path / "b", a_backup())
    assert look_up(path, "correct horse") == {"salt_key": SALT}
    with pytest.raises(AnsibleLookupError, match="no given password decrypts it"):
        look_up(path, "wrong")
