"""Virtual keys as the inventory asks for them: made, changed, removed, and never lost or shown."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml
from lab.fixtures import Admin, Door, Run

CHAT = {"max_tokens": 4, "messages": [{"role": "user", "content": "Hi"}]}
TEAM = {"alias": "team", "models": ["pair"], "max_budget": 5, "budget_duration": "30d", "metadata": {"cost_centre": 12}}
BATCH = {"alias": "batch", "rpm_limit": 2}


class Keys:
    """The playbook `keys` with a file of its own."""

    def __init__(self, admin: Admin, folder: Path) -> None:
        self._admin = admin
        self.file = folder / "keys.yml"
        self.password = folder / "password"
        self.password.write_text("a vault password")

    def play(self, *keys: dict[str, Any], arguments: tuple[str, ...] = (), vault: bool = False) -> Run:
        variables: dict[str, Any] = {"fleet_keys": list(keys), "fleet_keys_file": str(self.file)}
        if vault:
            variables["fleet_keys_vault_password_file"] = str(self.password)
        run = self._admin.play("keys", "-vvv", "--diff", *arguments, variables=variables)
        for value in self.values().values():
            assert value not in run.output, "a key was shown"
        return run

    def values(self) -> dict[str, str]:
        text = self.file.read_text() if self.file.exists() else ""
        return {} if text.startswith("$ANSIBLE_VAULT") else yaml.safe_load(text) or {}


@pytest.fixture(scope="module")
def keys(admin: Admin, tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(admin, tmp_path_factory.mktemp("keys"))


def ask(door: Door, model: str, key: str) -> int:
    return door.request("POST", "/v1/chat/completions", key=key, json={"model": model, **CHAT}).status_code


def test_check_mode_makes_no_key_and_no_file(keys: Keys) -> None:
    run = keys.play(TEAM, arguments=("--check",))
    assert run.status == 0, run.output
    assert "team" in run.output
    assert not keys.file.exists()


def test_makes_keys_and_writes_them_to_a_file_of_the_admins_alone(keys: Keys, door: Door) -> None:
    run = keys.play(TEAM, BATCH)
    assert run.status == 0, run.output
    assert stat.S_IMODE(keys.file.stat().st_mode) == 0o600
    assert set(keys.values()) == {"team", "batch"}
    assert ask(door, "pair", keys.values()["team"]) == 200
    assert ask(door, "closed", keys.values()["team"]) == 404
    assert str(keys.file) in run.messages


def test_a_second_run_changes_nothing(keys: Keys) -> None:
    run = keys.play(TEAM, BATCH)
    assert run.changed() == {"gate": 0}, run.output


def test_a_limit_is_kept_to(keys: Keys, door: Door) -> None:
    assert 429 in [ask(door, "pair", keys.values()["batch"]) for _request in range(4)]


def test_a_virtual_key_opens_no_other_route(keys: Keys, door: Door) -> None:
    assert door.request("GET", "/models/pair/v1/models", key=keys.values()["team"]).status_code == 401


def test_changes_what_differs_and_takes_away_what_is_absent(keys: Keys, door: Door) -> None:
    before = keys.values()
    run = keys.play({**TEAM, "models": ["pair", "closed"]}, {"alias": "batch", "state": "absent"})
    assert run.status == 0, run.output
    assert keys.values() == {"team": before["team"]}
    assert ask(door, "closed", before["team"]) == 200
    assert ask(door, "pair", before["batch"]) == 401


def test_a_plain_file_becomes_a_vaulted_one_with_the_same_keys(keys: Keys, door: Door) -> None:
    before = keys.values()
    run = keys.play({**TEAM, "models": ["pair", "closed"]}, vault=True)
    assert run.status == 0, run.output
    assert keys.file.read_text().startswith("$ANSIBLE_VAULT")
    assert before["team"] not in keys.file.read_text()
    again = keys.play({**TEAM, "models": ["pair", "closed"]}, vault=True)
    assert again.changed() == {"gate": 0}, again.output
    assert ask(door, "closed", before["team"]) == 200


def test_a_key_for_a_model_that_is_not_there_is_refused_before_anything_is_touched(keys: Keys) -> None:
    run = keys.play({"alias": "typo", "models": ["piar"]})
    assert run.status != 0
    assert "fleet_keys[0] (typo).models: the fleet has no model 'piar'; did you mean 'pair'?" in run.messages


def test_leaves_nothing_behind(keys: Keys) -> None:
    run = keys.play({"alias": "team", "state": "absent"}, vault=True)
    assert run.status == 0, run.output
