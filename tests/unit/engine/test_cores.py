"""CPU cores for the containers of models without a device."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine import host_cores as host
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    Plan,
    desired_containers,
    plan_containers,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.converge import converge
from ansible_collections.inference.fleet.plugins.module_utils.engine.cores import cpusets
from ansible_collections.inference.fleet.plugins.module_utils.inventory.fleet import scope
from ansible_collections.inference.fleet.tests.unit.engine.world import World, cpu
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet
from hypothesis import given
from hypothesis import strategies as st

TWO = ((0,), (1,))
SMT = ((0, 4), (1, 5), (2, 6), (3, 7))  # two threads a core


def sets(cores: Any, *entries: dict[str, Any]) -> dict[str, str]:
    return cpusets(fleet(*entries), cores)


def test_two_replicas_on_two_cores_have_a_core_each() -> None:
    assert sets(TWO, cpu("a", replicas=2)) == {"vllm-a-1": "0", "vllm-a-2": "1"}


def test_a_core_is_not_divided() -> None:
    assert sets(SMT, cpu("a"), cpu("b")) == {"vllm-a-1": "0,1,4,5", "vllm-b-1": "2,3,6,7"}


def test_a_single_container_may_use_all() -> None:
    assert sets(SMT, cpu("a")) == {"vllm-a-1": "0,1,2,3,4,5,6,7"}


def test_more_containers_than_cores_share_them_evenly() -> None:
    assert list(sets(TWO, cpu("a", replicas=4)).values()) == ["0", "0", "1", "1"]


@pytest.mark.parametrize(
    "changes",
    [
        {"env": {"VLLM_CPU_OMP_THREADS_BIND": "0-3"}},
        {"args": {"tensor-parallel-size": 2}},
        {"args": {"dp": 2}},
        {"state": "absent"},
        {"state": "stopped"},
        {"devices": {"gpus": 1}},
    ],
)
def test_leaves_other_containers_alone(changes: dict[str, Any]) -> None:
    other = entry(name="b", **{"devices": {"cpu": True}, **changes})
    assert sets(TWO, cpu("a"), other) == {"vllm-a-1": "0,1"}


@pytest.mark.parametrize("binding", ["auto", "nobind"])
def test_divides_cores_for_bindings_within_them(binding: str) -> None:
    assert sets(TWO, cpu("a", replicas=2, env={"VLLM_CPU_OMP_THREADS_BIND": binding})) == {
        "vllm-a-1": "0",
        "vllm-a-2": "1",
    }


def test_without_limits_no_container_has_cpus() -> None:
    assert sets((), cpu("a")) == {}


@given(st.integers(1, 40), st.integers(1, 20))
def test_every_core_is_used_once_while_there_are_enough(cores: int, replicas: int) -> None:
    found = sets(tuple((core,) for core in range(cores)), cpu("a", replicas=replicas))
    used = [int(one) for own in found.values() for one in own.split(",")]
    assert len(found) == replicas
    assert sorted(used) == list(range(cores)) if cores >= replicas else set(used) <= set(range(cores))


def planned(world: World, cores: Any) -> Plan:
    desired = desired_containers(world.fleet, {}, cores=cores)
    observed = world.engine.observe({world.fleet.image_of(model) for model in world.fleet.models})
    return plan_containers(desired, observed, True, scope(world.fleet, None))


def test_a_further_replica_takes_cores_from_the_first_without_a_restart() -> None:
    world = World(cpu("a"))
    converge(planned(world, TWO), world.engine)
    before = world.ids()["vllm-a-1"]
    world.inventory(cpu("a", replicas=2))
    assert [str(action) for action in planned(world, TWO).actions] == [
        "update vllm-a-1 (CPU cores)",
        "create vllm-a-2 (missing)",
        "start vllm-a-2",
    ]
    converge(planned(world, TWO), world.engine)
    assert {name: one.spec.cpus for name, one in world.engine.containers.items()} == {"vllm-a-1": "0", "vllm-a-2": "1"}
    assert world.ids()["vllm-a-1"] == before
    assert planned(world, TWO).actions == ()


def test_a_container_of_an_earlier_version_gets_its_cores_in_place() -> None:
    world = World(cpu("a"))
    converge(planned(world, TWO), world.engine)
    world.engine.change_spec("vllm-a-1", cpus="")
    assert [str(action) for action in planned(world, TWO).actions] == ["update vllm-a-1 (CPU cores)"]
    assert planned(world, TWO).diff() == {"before": "vllm-a-1.cpus: \n", "after": "vllm-a-1.cpus: 0,1\n"}


def test_reads_the_cores_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, siblings in {0: "0,2", 1: "1,3", 2: "0,2", 3: "1,3"}.items():
        folder = tmp_path / f"cpu{number}" / "topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(siblings + "\n")
    monkeypatch.setattr(host, "SYSFS", tmp_path)
    monkeypatch.setattr(host.os, "sched_getaffinity", lambda _pid: {0, 1, 2, 3, 5})
    assert host.host_cores() == ((0, 2), (1, 3), (5,))
