"""Versions of a model: what makes one, what a host remembers, and what a rollback brings."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine import served
from ansible_collections.inference.fleet.plugins.module_utils.engine.unused_images import HostImage
from ansible_collections.inference.fleet.plugins.module_utils.engine.versions import (
    KEYS,
    Previous,
    Served,
    Version,
    previous,
    remember,
    same,
    shown,
    version_of,
    with_entry,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import Fleet, select
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import Images
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit import inventories
from ansible_collections.inference.fleet.tests.unit.samples import entry, faults
from ansible_collections.inference.fleet.tests.unit.samples import fleet as inventory
from hypothesis import assume, given

SECRET = "hf_0123456789abcdef"
NAME = "qwen3-8b"
FILE = "/state/served.json"
TAG = "own/vllm:1"


def version(image_id: str = "", fleet: Fleet | None = None, **changes: Any) -> Version:
    found = fleet or inventory(entry(**changes))
    return version_of(found, found.models[0], image_id)


def image(number: int, *tags: str, digests: tuple[str, ...] = ()) -> HostImage:
    return HostImage(f"sha256:{number}", tags, digests, 1, False)


def rollback(fleet: Fleet, known: Served | None, *images: HostImage) -> Previous:
    return previous(fleet, select(fleet, NAME), known, images, FILE)


@pytest.mark.parametrize(
    "changes",
    [
        {"image": TAG},
        {"args": {"max-model-len": 512}},
        {"env": {"A": "1"}},
        {"env": {"HF_TOKEN": SECRET}},
        {"source": "Qwen/Qwen3-14B"},
        {"adapters": {"sql": "own/sql"}},
        {"shm_size": "1g"},
        {"memory": "64g"},
        {"recipe": "whisper"},
    ],
    ids=str,
)
def test_what_makes_another_version(changes: dict[str, Any]) -> None:
    assert not same(version(), version(**changes))
    assert same(version(**changes), version(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"replicas": 3},
        {"devices": {"gpus": 2}},
        {"open": True, "direct": True},
        {"state": "stopped"},
        {"ready_timeout": 5, "drain_timeout": 5},
        {"outbound": True},
        {"image": Images().vllm},
        {"args": {}},
    ],
    ids=str,
)
def test_what_makes_no_other_version(changes: dict[str, Any]) -> None:
    """Else scaling a model after an upgrade would make the host forget the version before the upgrade."""
    assert same(version(), version(**changes))


def test_another_image_of_the_same_tag_is_another_version_and_another_name_of_an_image_is_none() -> None:
    assert not same(version("sha256:1"), version("sha256:2"))
    assert same(version("sha256:1"), version("sha256:1", image=TAG))
    assert same(version("sha256:1"), version())
    assert not same(version("sha256:1"), version(image=TAG))
    default = inventory(entry(), images={"vllm": "own/vllm:2"})
    assert not same(version(), version(fleet=default)), "an image of fleet_images counts"


def test_no_secret_is_kept_and_another_value_of_it_makes_no_version() -> None:
    with_password = {"env": {"HF_TOKEN": SECRET, "PROXY": f"http://me:{SECRET}@proxy:1", "A": "1"}}
    one = version(**with_password)
    assert SECRET not in str(one)
    assert (one.secrets, one.entry["env"]) == (("HF_TOKEN", "PROXY"), {"A": "1"})
    assert same(one, version(env={**with_password["env"], "HF_TOKEN": "hf_another"}))


def test_the_host_remembers_the_version_that_serves_and_the_one_before() -> None:
    first, second, third = version(), version(args={"seed": 1}), version(args={"seed": 2})
    known = remember({}, {NAME: first, "b": first})
    assert known == {NAME: Served(first), "b": Served(first)}
    known = remember(known, {NAME: second})
    assert known == {NAME: Served(second, first), "b": Served(first)}
    assert remember(known, {NAME: second}, gone=["b"]) == {NAME: Served(second, first)}
    assert remember(known, {NAME: third})[NAME] == Served(third, second)
    assert remember(known, {NAME: first})[NAME] == Served(first, second), "after a rollback"
    moved = version(args={"seed": 1}, devices={"gpus": 2})
    assert remember(known, {NAME: moved})[NAME] == Served(moved, first)


def test_a_rollback_brings_the_version_before_and_a_second_rollback_changes_nothing() -> None:
    old, new = entry(image=TAG, args={"seed": 1}), entry(args={"seed": 2})
    known = Served(version(**new), version(**old))
    found = rollback(inventory(new), known)
    assert found == Previous(
        {"type": "chat", "source": "Qwen/Qwen3-8B", "image": TAG, "args": {"seed": 1}, "env": {}, "adapters": {}}
        | {"devices": {"gpus": 1}, "shm_size": "8g"}
    )
    known = remember({NAME: known}, {NAME: version(**old)})[NAME]
    assert rollback(inventory(new), known) == found
    assert rollback(inventory(old), known).entry["args"] == {"seed": 2}, "the inventory was changed to the old version"


def test_after_a_change_that_failed_the_version_that_serves_is_the_previous_one() -> None:
    old, new = version(args={"seed": 1}), version(args={"seed": 2})
    found = rollback(inventory(entry(args={"seed": 3})), Served(new, old))
    assert found.entry["args"] == {"seed": 2}


@pytest.mark.parametrize("known", [None, Served(version())], ids=["nothing", "the same version"])
def test_without_a_previous_version(known: Served | None) -> None:
    (fault,) = faults(rollback, inventory(entry()), known)
    assert fault.startswith(f"{NAME}: expected a previous version of the model in {FILE}, found none; ")


@pytest.mark.parametrize("state", ["stopped", "absent"])
def test_a_model_that_shall_not_run_has_no_rollback(state: str) -> None:
    fleet = inventory(entry(state=state))
    assert faults(rollback, fleet, Served(version(args={"seed": 1}))) == [
        f"fleet_models.{NAME}.state: expected running for a rollback, got {state}"
    ]


def test_a_default_image_and_an_unchanged_recipe_are_left_out() -> None:
    default = rollback(inventory(entry(args={"seed": 1})), Served(version()))
    assert "image" not in default.entry and "recipe" not in default.entry
    recipe = rollback(inventory(entry()), Served(version(recipe="whisper")))
    assert (recipe.entry["recipe"], "image" in recipe.entry) == ("whisper", False)


def test_another_default_image_and_a_changed_recipe_become_the_image() -> None:
    known = Served(version())
    assert rollback(inventory(entry(), images={"vllm": "own/vllm:2"}), known).entry["image"] == Images().vllm
    before = inventory(entry(recipe="r"), recipes={"r": {"base": "vllm", "pip": ["a"]}})
    after = inventory(entry(recipe="r"), recipes={"r": {"base": "vllm", "pip": ["b"]}})
    for fleet in (after, inventory(entry())):
        found = rollback(fleet, Served(version(fleet=before))).entry
        assert (found["image"], "recipe" in found) == (before.image_of(before.models[0]), False)


def test_the_image_has_a_name_under_which_the_host_has_it() -> None:
    fleet, known = inventory(entry(image=TAG)), Served(version("sha256:1", image=TAG, args={"seed": 1}))
    digest = f"own/vllm@sha256:{'0' * 64}"

    def reference(*images: HostImage) -> Any:
        return rollback(fleet, known, *images).entry["image"]

    assert reference(image(1, TAG)) == reference() == TAG
    assert reference(image(2, TAG), image(1, digests=(digest,))) == digest
    assert reference(image(2, TAG), image(1, "own/vllm:old")) == "own/vllm:old"
    with pytest.raises(FleetError, match=r"^image own/vllm:1: expected sha256:1, .* found sha256:2; .*docker tag"):
        reference(image(2, TAG), image(1))


def test_a_tag_that_is_another_image_now_is_rolled_back() -> None:
    known = Served(version("sha256:2", image=TAG), version("sha256:1", image=TAG))
    found = rollback(inventory(entry(image=TAG)), known, image(2, TAG), image(1, "own/vllm:old"))
    assert found.entry["image"] == "own/vllm:old"


def test_the_entry_keeps_what_is_no_version_and_the_secrets_of_the_inventory() -> None:
    raw = entry(replicas=3, open=True, state="running", image=TAG, memory="64g", env={"HF_TOKEN": SECRET, "B": "2"})
    other = entry(name="b")
    old = version(env={"HF_TOKEN": "hf_before", "A": "1"}, args={"seed": 1})
    found, same_as_before = with_entry([raw, other], NAME, old.entry, old.secrets)
    assert same_as_before is other
    assert found == {
        "name": NAME,
        "replicas": 3,
        "open": True,
        "state": "running",
        **old.entry,
        "env": {"A": "1", "HF_TOKEN": SECRET},
    }


@pytest.mark.parametrize("env", [{}, {"B": "2"}, None, "text"], ids=str)
def test_a_secret_that_the_inventory_lacks_is_a_fault(env: Any) -> None:
    old = version(env={"HF_TOKEN": SECRET})
    (fault,) = faults(with_entry, [entry(name="b"), entry(env=env)], NAME, old.entry, old.secrets)
    assert fault.startswith("fleet_models[1] (qwen3-8b).env.HF_TOKEN: missing; the previous version had a secret ")
    assert SECRET not in fault


@given(inventories.models, inventories.models)
def test_every_version_comes_back(old: dict[str, Any], new: dict[str, Any]) -> None:
    raw = [inventories.pinned([{**one, "name": "a", "state": "running", "replicas": 1}])[0] for one in (old, new)]
    before, now = map(inventory, raw)
    was, present = version_of(before, before.models[0]), version_of(now, now.models[0])
    assume(not same(was, present))
    found = previous(now, now.models[0], Served(present, was), (), FILE)
    env = {**dict(now.models[0].env), **dict(before.models[0].env)}
    (entry,) = with_entry([{**raw[1], "env": env}], "a", found.entry, found.secrets)
    for written in (entry, {**shown("a", found.entry), "env": entry["env"]}):
        after = inventory({**written, "state": "running", "replicas": 1})
        assert same(version_of(after, after.models[0]), was)
        assert after.models[0].devices == before.models[0].devices
    assert found.entry.keys() <= {*KEYS}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(served, "FILE", str(tmp_path / "state" / "served.json"))
    return tmp_path / "state" / "served.json"


def test_the_file_is_for_root_alone_and_is_read_as_it_was_written(file: Path) -> None:
    known = {
        NAME: Served(
            version("sha256:1", args={"a": [1, "x"], "b": {"c": 1.5}, "d": None}), version(env={"HF_TOKEN": "x"})
        )
    }
    assert served.read_served() == {}
    served.write_served(known)
    assert served.read_served() == known
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "1", '{"a": 1}', '{"a": {}}', '{"a": {"now": {}}}', '{"a": {"now": {"x": 1}}}', "\xff"]
)
def test_a_broken_file_is_as_none(text: str, file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(text.encode("latin-1"))
    assert served.read_served() == {}


def test_a_version_is_data_for_json() -> None:
    assert json.loads(json.dumps(version(args={"a": 1}).entry)) == version(args={"a": 1}).entry
