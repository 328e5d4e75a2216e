"""inference.fleet.previous_version: the whole module, with the versions that model_containers remembers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine import served, starts
from ansible_collections.inference.fleet.plugins.modules import model_containers, previous_version
from ansible_collections.inference.fleet.tests.unit.engine.fake_engine import FakeEngine
from ansible_collections.inference.fleet.tests.unit.engine.world import OWN_IMAGE, REGISTRY, cpu
from ansible_collections.inference.fleet.tests.unit.running import FleetModule

Run = Callable[..., dict[str, Any]]
SECRET = "hf_0123456789abcdef"
OLD, NEW = cpu("a", args={"seed": 1}, env={"HF_TOKEN": SECRET}), cpu("a", image=OWN_IMAGE, replicas=2)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(REGISTRY)


@pytest.fixture
def install(
    engine: FakeEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Run:
    """A run of model_containers with these models."""
    monkeypatch.setattr(starts, "FILE", str(tmp_path / "starts.json"))
    monkeypatch.setattr(served, "FILE", str(tmp_path / "served.json"))
    monkeypatch.setattr(model_containers, "Docker", lambda: engine)
    monkeypatch.setattr(model_containers, "host_cores", lambda: ())
    module = FleetModule(model_containers.main, "model_containers", capsys)
    return lambda *models, **options: module(models=list(models), **options)


@pytest.fixture
def find(install: Run, engine: FakeEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setattr(previous_version, "Docker", lambda: engine)
    module = FleetModule(previous_version.main, "previous_version", capsys)
    return lambda *models, **options: module(models=list(models), **{"model": "a", **options})


def test_finds_the_version_that_served_before(install: Run, find: Run, tmp_path: Path) -> None:
    install(OLD)
    install(NEW)
    for check in (False, True):
        found = find(NEW, check=check)
        assert (found["changed"], found["secrets"]) == (False, ["HF_TOKEN"])
        assert (found["entry"]["args"], found["entry"]["env"], "image" in found["entry"]) == ({"seed": 1}, {}, False)
        assert found["shown"]["name"] == "a"
    assert SECRET not in (tmp_path / "served.json").read_text()


def test_a_rollback_and_the_way_forward(install: Run, find: Run) -> None:
    install(OLD)
    install(NEW)
    install(OLD)
    assert find(NEW)["entry"]["args"] == {"seed": 1}, "a second rollback changes nothing"
    assert find(OLD)["entry"]["image"] == OWN_IMAGE


def test_a_version_that_did_not_serve_is_not_remembered(install: Run, find: Run, engine: FakeEngine) -> None:
    install(OLD)
    engine.broken = {REGISTRY[OWN_IMAGE].id}
    assert install(NEW)["failed"]
    assert find(NEW)["entry"]["args"] == {"seed": 1}
    engine.broken = set()
    engine.dies = {"vllm-a-1-next": 1}
    assert install(NEW)["failed"]
    assert find(NEW)["entry"]["args"] == {"seed": 1}


def test_check_mode_restores_and_other_models_do_not_change_what_is_remembered(install: Run, find: Run) -> None:
    install(OLD, cpu("b"))
    install(NEW, cpu("b"), check=True)
    install(NEW, cpu("b", args={"seed": 2}), names=["b"])
    assert "expected a previous version of the model" in find(OLD)["msg"]
    install(NEW, keep_going=True)
    assert find(NEW)["entry"]["args"] == {"seed": 1}


def test_a_removed_model_is_forgotten(install: Run, find: Run) -> None:
    for removal in ({"absent": ["a"], "names": ["a"]}, {"prune": True}):
        install(OLD)
        install(NEW)
        install(cpu("b"), **removal)
        assert install(NEW)["changed"]
        assert "expected a previous version of the model" in find(NEW)["msg"]


def test_a_host_of_a_previous_version_of_the_collection_remembers_without_a_change(
    install: Run, find: Run, tmp_path: Path
) -> None:
    install(OLD)
    (tmp_path / "served.json").unlink()
    planned = install(OLD, check=True)
    assert (planned["changed"], planned["remembered"]) == (False, False)
    assert install(OLD)["changed"] is False
    assert install(OLD, check=True)["remembered"] is True
    install(NEW)
    assert find(NEW)["entry"]["args"] == {"seed": 1}


def test_a_file_that_cannot_be_written_fails_no_run(
    install: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(served, "FILE", str(tmp_path / "file" / "served.json"))
    warned: list[str] = []
    monkeypatch.setattr(model_containers.AnsibleModule, "warn", lambda _module, text: warned.append(text))
    answer = install(OLD)
    assert answer["changed"] and "failed" not in answer
    assert warned == [f"{tmp_path / 'file'}: File exists; the playbook rollback will lack what this run changed"]


def test_a_model_that_the_inventory_lacks(find: Run) -> None:
    assert find(NEW, model="b")["msg"].startswith("model: 'b' is not in this host's inventory")
