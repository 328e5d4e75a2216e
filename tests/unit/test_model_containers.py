"""inference.fleet.model_containers: the whole module, on a fake engine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine import served, starts
from ansible_collections.inference.fleet.plugins.module_utils.engine.unused_images import HostImage
from ansible_collections.inference.fleet.plugins.module_utils.gpu.nvidia_smi import Observation
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.plugins.modules import model_containers
from ansible_collections.inference.fleet.tests.unit.engine.fake_engine import FakeEngine
from ansible_collections.inference.fleet.tests.unit.engine.world import GPUS, REGISTRY, STANDARD, cpu
from ansible_collections.inference.fleet.tests.unit.running import FleetModule
from ansible_collections.inference.fleet.tests.unit.samples import entry

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(REGISTRY, foreign=["postgres"])


@pytest.fixture
def run(engine: FakeEngine, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The task with these models and options."""
    monkeypatch.setattr(starts, "FILE", str(tmp_path / "starts.json"))
    monkeypatch.setattr(served, "FILE", str(tmp_path / "served.json"))
    monkeypatch.setattr(model_containers, "Docker", lambda: engine)
    monkeypatch.setattr(model_containers, "host_cores", lambda: ())
    monkeypatch.setattr(model_containers.NvidiaSmi, "observe", lambda _smi: Observation(GPUS))
    module = FleetModule(model_containers.main, "model_containers", capsys)
    return lambda *models, **options: module(models=list(models), **options)


def statuses(answer: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["status"] for one in answer["containers"]}


def test_makes_what_is_missing_and_then_has_nothing_to_do(run: Run) -> None:
    first = run(cpu("a", replicas=2), cpu("b", state="stopped"))
    assert (first["changed"], statuses(first)) == (
        True,
        {"vllm-a-1": "running", "vllm-a-2": "running", "vllm-b-1": "created"},
    )
    second = run(cpu("a", replicas=2), cpu("b", state="stopped"))
    assert (second["changed"], second["actions"], second["diff"]) == (False, [], {"before": "", "after": ""})
    assert second["containers"] == first["containers"]


def test_compiled_code_goes_with_its_container_or_configuration(run: Run, engine: FakeEngine) -> None:
    run(cpu("a"), cpu("b"))
    before = set(engine.compiled)
    run(cpu("a"), cpu("b", env={"A": "1"}))
    assert engine.compiled == before
    run(cpu("a", args={"dtype": "auto"}))
    assert len(engine.compiled - before) == 1
    assert engine.unused_compiled() == {}
    run(prune=True)
    assert engine.compiled == set()


def test_a_host_that_cannot_limit_memory_is_a_fault_where_a_model_asks_for_a_limit(
    run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Docker would drop the limit, and every run would recreate the container."""
    monkeypatch.setattr(engine, "limits_memory", lambda: False)
    answer = run(cpu("a"), cpu("b", memory="64g"))
    assert answer["msg"].startswith("memory of b: this host's kernel cannot limit the memory of containers; enable ")
    assert engine.journal == []
    assert run(cpu("a"), cpu("b", memory="64g"), names=["a"])["changed"] is True


def test_a_volume_that_cannot_be_removed_is_a_warning(
    run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(model_containers.AnsibleModule, "warn", lambda _self, text: told.append(text))
    run(cpu("a"))
    (volume,) = engine.compiled
    engine.fails["remove volume", volume] = "in use"
    answer = run(prune=True)
    assert (answer["changed"], answer.get("failed", False), told) == (True, False, ["in use"])


def test_reports_the_images_that_nothing_uses(run: Run, engine: FakeEngine) -> None:
    engine.host_images = [HostImage("sha256:9", ("vllm/vllm-openai:v0.1.0",), (), 21 * 10**9, False)]
    assert "unused_images" not in run(cpu("a"))
    assert run(cpu("a"), report=True, check=True)["unused_images"] == ["vllm/vllm-openai:v0.1.0 (21.0 GB)"]


def test_reports_the_digests_of_the_images_that_came_from_a_registry(run: Run, engine: FakeEngine) -> None:
    digest = f"sha256:{'d' * 64}"
    engine.host_images = [
        HostImage("sha256:1", ("a:1",), (f"registry:5000/a@{digest}", f"b@{digest}"), 1, True),
        HostImage("sha256:2", ("built:1",), (), 1, True),
    ]
    assert run(cpu("a"), report=True, check=True)["digests"] == {"sha256:1": digest}


def test_returns_each_container_as_it_is(run: Run, engine: FakeEngine) -> None:
    (row,) = run(entry(name="a", devices={"gpus": [2]}))["containers"]
    assert row == {
        "name": "vllm-a-1",
        "model": "a",
        "id": engine.containers["vllm-a-1"].id,
        "status": "running",
        "ready": True,
        "wanted": True,
        "started_at": "2026-11-24T02:40:11.81Z",
        "devices": ["GPU-2"],
        "device": "gpu 2",
        "image": STANDARD,
        "image_id": engine.containers["vllm-a-1"].spec.image,
        "exit_code": None,
        "restarts": 0,
        "log": [],
    }


def test_a_report_has_the_exit_code_and_the_last_words_of_what_does_not_answer(run: Run, engine: FakeEngine) -> None:
    run(cpu("a"), cpu("b"), cpu("c"))
    engine.change("vllm-a-1", status="exited", exit_code=137)
    engine.unready.add("vllm-b-1")
    engine.logs = {name: [f"line {number}" for number in range(9)] for name in ("vllm-a-1", "vllm-b-1", "vllm-c-1")}
    engine.fails["logs", "vllm-b-1"] = "reading the log of container vllm-b-1: not supported"
    models = (cpu("a"), cpu("b"), cpu("c"), cpu("d"), cpu("e", state="stopped"))
    rows = {row["model"]: row for row in run(*models, check=True, report=True)["containers"]}
    assert (rows["a"]["exit_code"], rows["a"]["log"]) == (137, [f"line {number}" for number in range(4, 9)])
    assert (rows["b"]["exit_code"], rows["b"]["log"]) == (
        None,
        ["reading the log of container vllm-b-1: not supported"],
    )
    assert [rows[name]["log"] for name in "cde"] == [[], [], []]


def test_check_mode_shows_what_the_run_then_does_and_does_nothing(run: Run, engine: FakeEngine) -> None:
    shown = run(cpu("a"), check=True)
    assert engine.journal == []
    assert (shown["changed"], statuses(shown)) == (True, {"vllm-a-1": "missing"})
    done = run(cpu("a"))
    assert (done["actions"], done["diff"]) == (shown["actions"], shown["diff"])


def test_check_mode_on_a_converged_host_reports_no_change_and_what_answers(run: Run, engine: FakeEngine) -> None:
    run(cpu("a"), cpu("b"))
    engine.unready.add("vllm-b-1")
    answer = run(cpu("a"), cpu("b"), check=True)
    assert answer["changed"] is False
    assert {one["name"]: one["ready"] for one in answer["containers"]} == {"vllm-a-1": True, "vllm-b-1": False}


def test_what_is_not_waited_for_is_told_to_answer_or_not(run: Run, engine: FakeEngine) -> None:
    engine.unready.add("vllm-b-1")
    answer = run(cpu("a"), cpu("b"), wait=False)
    assert {one["name"]: (one["status"], one["ready"]) for one in answer["containers"]} == {
        "vllm-a-1": ("running", True),
        "vllm-b-1": ("running", False),
    }


def test_what_cannot_be_started_fails_also_where_nothing_is_waited_for(run: Run, engine: FakeEngine) -> None:
    engine.fails["start", "vllm-a-1"] = "no such device"
    assert run(cpu("a"), wait=False)["faults"] == {"vllm-a-1": "no such device"}


@pytest.mark.parametrize("status", ["exited", "running"])
def test_a_restore_does_not_ask_for_an_image_that_its_containers_have(
    run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    told: list[str] = []
    monkeypatch.setattr(model_containers.AnsibleModule, "warn", lambda _self, text: told.append(text))
    run(cpu("a"), cpu("b"))
    ids = {name: one.id for name, one in engine.containers.items()}
    engine.images.clear()
    engine.registry = {}
    engine.change("vllm-a-1", status=status)
    answer = run(cpu("a"), cpu("b"), keep_going=True)
    assert "failed" not in answer
    assert statuses(answer) == {"vllm-a-1": "running", "vllm-b-1": "running"}
    assert {name: one.id for name, one in engine.containers.items()} == ids
    (warning,) = told
    assert warning.endswith("these containers keep their image: vllm-a-1, vllm-b-1")


def test_a_restore_that_lacks_an_image_and_its_container_fails_for_that_one(run: Run, engine: FakeEngine) -> None:
    run(cpu("a"), cpu("b"))
    engine.images.clear()
    engine.registry = {}
    del engine.containers["vllm-b-1"]
    assert set(run(cpu("a"), cpu("b"), keep_going=True)["faults"]) == {STANDARD}
    assert engine.containers["vllm-a-1"].status == "running"


def test_fails_with_every_fault_and_still_makes_the_others(run: Run, engine: FakeEngine) -> None:
    engine.dies["vllm-b-1"] = 1
    answer = run(cpu("a"), cpu("b"), cpu("c", image="own/none:1"))
    assert answer["failed"] is True
    assert set(answer["faults"]) == {"vllm-b-1", "own/none:1"}
    assert all(fault in answer["msg"] for fault in answer["faults"].values())
    assert answer["changed"] is True
    assert engine.containers["vllm-a-1"].status == "running"


def test_a_faulty_list_fails_before_docker_is_asked(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_containers, "Docker", lambda: pytest.fail("asked Docker"))
    assert run(entry(replicas=0))["msg"] == "fleet_models[0].replicas: expected a whole number of at least 1, got 0"


def test_a_docker_that_does_not_answer_fails_with_its_words(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_docker() -> None:
        raise FleetError("Docker does not answer")

    monkeypatch.setattr(model_containers, "Docker", no_docker)
    answer = run(cpu("a"))
    assert (answer["failed"], answer["msg"]) == (True, "Docker does not answer")


def test_shows_no_secret_of_an_environment(run: Run) -> None:
    secret = "hf_0123456789abcdef"
    run(cpu("a"))
    assert secret not in str(run(cpu("a", env={"HF_TOKEN": secret}), hf_token=secret))


# The scope of a run


def test_without_names_the_whole_list_is_meant_and_unlisted_models_stay(run: Run, engine: FakeEngine) -> None:
    run(cpu("a"), cpu("b"))
    assert run(cpu("a"))["changed"] is False
    assert set(engine.containers) == {"vllm-a-1", "vllm-b-1"}


def test_pruning_removes_models_that_are_not_listed(run: Run, engine: FakeEngine) -> None:
    run(cpu("a"), cpu("b"))
    assert run(cpu("a"), prune=True)["actions"] == ["remove vllm-b-1 (not in the inventory)"]
    assert set(engine.containers) == {"vllm-a-1"}


def test_adding_one_model_by_name_leaves_the_others_alone(run: Run, engine: FakeEngine) -> None:
    run(cpu("a"), cpu("gone"))
    before = dict(engine.containers)
    answer = run(cpu("a", args={"dtype": "auto"}), cpu("b"), names=["b"])
    assert statuses(answer) == {"vllm-b-1": "running"}
    assert {name: engine.containers[name] for name in before} == before


def test_models_on_cpus_have_cores_of_their_own(run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_containers, "host_cores", lambda: ((0,), (1,)))
    run(cpu("a"))
    assert run(cpu("a"), cpu("b"))["actions"][0] == "update vllm-a-1 (CPU cores)"
    assert {name: one.spec.cpus for name, one in engine.containers.items()} == {"vllm-a-1": "0", "vllm-b-1": "1"}
    assert run(cpu("a"), cpu("b"))["changed"] is False


def test_an_engine_that_cannot_limit_cpus_is_not_asked_to(
    run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_containers, "host_cores", lambda: ((0,), (1,)))
    monkeypatch.setattr(engine, "limits_cpus", lambda: False)
    run(cpu("a"), cpu("b"))
    assert {one.spec.cpus for one in engine.containers.values()} == {None}


@pytest.mark.parametrize("listed", [True, False])
def test_taking_one_model_away_by_name_leaves_the_others_alone(run: Run, engine: FakeEngine, listed: bool) -> None:
    """As playbooks/remove_model.yml calls it."""
    run(cpu("a"), cpu("b"), cpu("c"))
    models = [cpu("a"), cpu("b"), cpu("c")] if listed else [cpu("b"), cpu("c")]
    answer = run(*models, names=["a"], absent=["a"])
    assert answer["actions"] == ["remove vllm-a-1 (not in the inventory)"]
    assert set(engine.containers) == {"vllm-b-1", "vllm-c-1"}


def test_an_empty_list_of_names_is_no_model(run: Run, engine: FakeEngine) -> None:
    run(cpu("a"))
    assert run(cpu("a"), names=[])["actions"] == []
    assert set(engine.containers) == {"vllm-a-1"}


def test_a_name_that_is_not_listed_is_an_error(run: Run) -> None:
    assert run(cpu("a"), names=["b"])["msg"] == "model: 'b' is not in this host's inventory (fleet_models has a)"


# GPUs with faults


def lose_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_smi: object) -> None:
        raise FleetError("nvidia-smi: the driver is gone")

    monkeypatch.setattr(model_containers.NvidiaSmi, "observe_some", fail)


def test_gpus_in_trouble_leave_everything_as_it_is(
    run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    lose_the_driver(monkeypatch)
    assert run(cpu("a"), entry(name="b", devices={"gpus": 1}))["msg"] == "nvidia-smi: the driver is gone"
    assert engine.containers == {}


def test_a_restore_starts_what_is_there_with_what_it_has_and_then_fails(
    run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_gpu = entry(name="b", devices={"gpus": 1})
    run(cpu("a"), on_gpu)
    held = engine.containers["vllm-b-1"].spec.devices
    for name in ("vllm-a-1", "vllm-b-1"):
        engine.stop(name)
    lose_the_driver(monkeypatch)
    answer = run(cpu("a"), on_gpu, entry(name="c", devices={"gpus": 1}), keep_going=True)
    assert (answer["failed"], answer["msg"]) == (True, "nvidia-smi: the driver is gone")
    assert {name: one.status for name, one in engine.containers.items()} == {
        "vllm-a-1": "running",
        "vllm-b-1": "running",
    }
    assert engine.containers["vllm-b-1"].spec.devices == held


def test_a_restore_gives_out_what_is_left_of_the_gpus(
    run: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = [entry(name=name, devices={"gpus": 1}) for name in ("a", "b")]
    run(*models)
    first, second = (engine.containers[f"vllm-{name}-1"].spec.devices for name in ("a", "b"))
    del engine.containers["vllm-a-1"]
    left = tuple(gpu for gpu in GPUS if gpu.uuid in first)  # that of b is gone
    monkeypatch.setattr(model_containers.NvidiaSmi, "observe_some", lambda _smi: left)
    answer = run(*models, keep_going=True)
    assert "vllm-b-1 asks for 1 GPU; free: 0 of 1" in answer["msg"]
    assert engine.containers["vllm-a-1"].spec.devices == first
    assert engine.containers["vllm-b-1"].spec.devices == second, "left with what it holds"


@pytest.mark.parametrize("options", [{}, {"prune": True}, {"names": ["a", "b", "c"]}])
def test_what_lacks_something_to_start_with_is_left_as_it_is(run: Run, engine: FakeEngine, options: Any) -> None:
    run(entry(name="a", devices={"gpus": 1}), cpu("b"))
    before = dict(engine.containers)
    changed = [{**one, "args": {"seed": 1}} for one in (entry(name="a", devices={"gpus": [5]}), cpu("b"), cpu("c"))]
    answer = run(*changed, entry(name="d", devices={"gpus": 1}), held=["a", "c"], **options)
    assert engine.containers["vllm-a-1"] is before["vllm-a-1"]
    assert "vllm-c-1" not in engine.containers
    assert engine.containers["vllm-b-1"].id != before["vllm-b-1"].id
    if "names" not in options:
        assert statuses(answer) == {"vllm-b-1": "running", "vllm-d-1": "running"}
        given = {engine.containers[name].spec.devices for name in ("vllm-a-1", "vllm-d-1")}
        assert len(given) == 2, "what the one holds is not given to the other"
