"""Who holds which device: containers, services and lone processes, each once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.gpu.clients import (
    PERSISTENCE,
    WATCHERS,
    Client,
    HostContainer,
    OpenDevice,
    clients_of,
)
from ansible_collections.inference.fleet.plugins.module_utils.gpu.gpus import Gpu
from ansible_collections.inference.fleet.tests.unit.gpu.shapes import gpu
from ansible_collections.inference.fleet.tests.unit.gpu.tenants import (
    container_id,
    foreign_container,
    model_container,
)

ON = (gpu(0, state=(("1g.5gb", 0), ("3g.20gb", 4))), gpu(1, mig=False))
EVERYTHING = {"GPU-0", "MIG-0-1", "MIG-0-2", "GPU-1"}


def clients(
    has: Iterable[HostContainer] = (),
    processes: Iterable[OpenDevice] = (),
    leaving: Sequence[str] = (),
    on: Sequence[Gpu] = ON,
) -> tuple[Client, ...]:
    return clients_of(on, has, processes, leaving)


def opened(cgroup: str, *devices: str, pid: int = 812, name: str = "python3") -> OpenDevice:
    return OpenDevice(pid, name, cgroup, frozenset(devices))


def scope(name: str) -> str:
    """The cgroup of a container, as cgroup v2 with systemd has it."""
    return f"0::/system.slice/docker-{container_id(name)}.scope\n"


# A container as Docker reports it


def inspected(runtime: str = "runc", requests: Any = None, env: Any = (), **config: Any) -> HostContainer:
    """Docker's API data of one container."""
    return HostContainer.parse(
        {
            "Id": "5f3c",
            "Name": "/x",
            "State": {"Running": True},
            "Config": {"Image": "vllm/vllm-openai:v1", "Labels": None, "Env": env, **config},
            "HostConfig": {"Runtime": runtime, "DeviceRequests": requests},
        }
    )


def requested(*ids: str, driver: str = "") -> list[dict[str, Any]]:
    return [{"Driver": driver, "Count": 0, "DeviceIDs": list(ids), "Capabilities": [["gpu"]]}]


@pytest.mark.parametrize(
    ("requests", "devices"),
    [
        (None, ()),
        (requested("GPU-1"), ("GPU-1",)),
        (requested("0", "1"), ("0", "1")),
        (requested("MIG-0-1"), ("MIG-0-1",)),
        (requested("0:1"), ("0:1",)),
        ([{"Driver": "", "Count": -1, "DeviceIDs": None, "Capabilities": [["gpu"]]}], ("all",)),
        ([{"Driver": "", "Count": 2, "DeviceIDs": None, "Capabilities": [["gpu"]]}], ("0", "1")),
        (requested("nvidia.com/gpu=0", driver="cdi"), ("0",)),
        (requested("nvidia.com/gpu=all", driver="cdi"), ("all",)),
        (requested("runtime.nvidia.com/gpu=0:1", driver="cdi"), ("0:1",)),
    ],
)
def test_reads_what_a_container_was_given_by_request(requests: Any, devices: tuple[str, ...]) -> None:
    assert inspected(requests=requests).devices == devices


@pytest.mark.parametrize(
    ("visible", "devices"),
    [
        ("all", ("all",)),
        ("GPU-1,MIG-0-1", ("GPU-1", "MIG-0-1")),
        ("0:0", ("0:0",)),
        ("nvidia.com/gpu=1", ("1",)),
        ("none", ()),
        ("void", ()),
        ("", ()),
    ],
)
def test_the_environment_tells_the_devices_where_the_runtime_is_nvidias(visible: str, devices: tuple[str, ...]) -> None:
    env = ["PATH=/bin", f"NVIDIA_VISIBLE_DEVICES={visible}"]
    assert inspected("nvidia", env=env).devices == devices
    assert inspected("runc", env=env).devices == ()


def test_a_request_counts_before_the_environment() -> None:
    env = ["NVIDIA_VISIBLE_DEVICES=all"]
    assert inspected("nvidia", requested("GPU-1"), env).devices == ("GPU-1",)


def test_a_container_is_a_models_by_its_labels() -> None:
    assert model_container("a-1").model == "a"
    assert foreign_container("vllm-a-1").model is None
    assert inspected(Labels={"model-name": "a"}).model is None
    assert inspected(Labels={"model-name": "a", "managed-by": "inference.fleet"}).model == "a"


def test_the_exporter_of_dcgm_is_a_watcher_by_its_image_or_by_our_label() -> None:
    assert foreign_container("x", image="nvcr.io/nvidia/k8s/dcgm-exporter:4.2.0").is_watcher
    assert inspected(Labels={"service": "dcgm-exporter"}).is_watcher
    assert not inspected().is_watcher


# Containers


@pytest.mark.parametrize(
    ("device", "held"),
    [
        ("0", {"GPU-0", "MIG-0-1", "MIG-0-2"}),
        ("GPU-0", {"GPU-0", "MIG-0-1", "MIG-0-2"}),
        ("1", {"GPU-1"}),
        ("MIG-0-2", {"MIG-0-2"}),
        ("0:1", {"MIG-0-2"}),
        ("GPU-0:0", {"MIG-0-1"}),
        ("all", EVERYTHING),
    ],
)
def test_a_container_holds_what_its_device_means(device: str, held: set[str]) -> None:
    (client,) = clients([foreign_container("x", device)])
    assert client == Client("container x", frozenset(held), "x")


def test_a_mig_device_is_known_by_its_own_index_whatever_its_placement() -> None:
    """The driver numbers them in its own order."""
    one = gpu(0, state=(("1g.5gb", 0), ("3g.20gb", 4)))
    instances = tuple(
        replace(part, compute=(replace(part.compute[0], index=1 - place),)) for place, part in enumerate(one.instances)
    )
    (client,) = clients([foreign_container("x", "0:0")], on=[replace(one, instances=instances)])
    assert client.devices == {"MIG-0-2"}


@pytest.mark.parametrize("device", ["7", "GPU-of-another-host", "MIG-of-before-the-reboot", "0:2", "1:0"])
def test_a_container_whose_device_is_not_there_holds_nothing(device: str) -> None:
    assert clients([foreign_container("x", device)]) == ()


def test_a_container_that_does_not_run_holds_nothing() -> None:
    assert clients([foreign_container("x", "all", running=False)]) == ()


def test_models_and_watchers_are_distinguished_from_others() -> None:
    found = clients(
        [
            model_container("a-1", "GPU-1"),
            foreign_container("dcgm", "all", image="nvidia/dcgm-exporter:4"),
            foreign_container("x", "GPU-1"),
        ]
    )
    assert [(one.name, one.model, one.watcher) for one in found] == [
        ("container vllm-a-1", True, False),
        ("container dcgm", False, True),
        ("container x", False, False),
    ]


def test_only_the_exporter_of_this_collection_is_its_own() -> None:
    labels = {"managed-by": "inference.fleet", "service": "dcgm-exporter"}
    ours = HostContainer(container_id("ours"), "ours", "nvidia/dcgm-exporter:4", labels=labels, devices=("all",))
    theirs = foreign_container("theirs", "all", image="nvidia/dcgm-exporter:4")
    assert [(one.watcher, one.own) for one in clients([ours, theirs])] == [(True, True), (True, False)]


def test_only_a_models_container_can_leave() -> None:
    has = [model_container("a-1", "GPU-1"), foreign_container("x", "GPU-1")]
    assert [one.leaving for one in clients(has, leaving=["vllm-a-1", "x"])] == [True, False]


# Processes


@pytest.mark.parametrize(
    "cgroup",
    [
        "0::/system.slice/docker-{}.scope\n",
        "12:devices:/docker/{0}\n11:memory:/docker/{0}\n0::/docker/{0}\n",
        "0::/docker/{}/init.scope\n",
        "0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{}.scope\n",
    ],
)
def test_a_process_is_its_containers_by_its_cgroup(cgroup: str) -> None:
    has = [foreign_container("x")]
    assert clients(has, [opened(cgroup.format(container_id("x")), "GPU-1")]) == (
        Client("container x", frozenset({"GPU-1"}), "x"),
    )


def test_a_process_in_a_container_of_a_container_is_the_inner_ones_if_that_is_known() -> None:
    nested = f"0::/docker/{container_id('outer')}/docker/{container_id('inner')}\n"
    outer, inner = foreign_container("outer"), foreign_container("inner")
    assert [one.name for one in clients([outer, inner], [opened(nested, "GPU-1")])] == ["container inner"]
    assert [one.name for one in clients([outer], [opened(nested, "GPU-1")])] == ["container outer"]


def test_a_container_with_a_request_and_processes_is_reported_once_with_all_it_holds() -> None:
    has = [model_container("a-1", "MIG-0-1")]
    both = [opened(scope("a-1"), "GPU-0"), opened(scope("a-1"), "MIG-0-1", pid=813)]
    assert clients(has, both, leaving=["vllm-a-1"]) == (
        Client("container vllm-a-1", frozenset({"GPU-0", "MIG-0-1"}), "vllm-a-1", model=True, leaving=True),
    )


@pytest.mark.parametrize("unit", WATCHERS)
def test_a_service_that_watches_is_known_by_its_unit(unit: str) -> None:
    (client,) = clients(processes=[opened(f"0::/system.slice/{unit}\n", "GPU-0", "GPU-1")])
    assert client == Client(unit, frozenset({"GPU-0", "GPU-1"}), unit=unit, watcher=True)


def test_the_persistence_daemon_is_known_by_its_unit() -> None:
    (client,) = clients(processes=[opened(f"0::/system.slice/{PERSISTENCE}\n", "GPU-0")])
    assert (client.persistence, client.watcher, client.may_stop(False)) == (True, False, True)


def test_a_service_of_several_processes_is_reported_once() -> None:
    """The service is stopped once."""
    cgroup = "0::/system.slice/nvidia-dcgm.service\n"
    (client,) = clients(processes=[opened(cgroup, "GPU-0"), opened(cgroup, "GPU-1", pid=813)])
    assert (client.name, client.devices) == ("nvidia-dcgm.service", {"GPU-0", "GPU-1"})


@pytest.mark.parametrize(
    "cgroup",
    [
        "",
        "0::/user.slice/user-1000.slice/session-4.scope\n",
        "0::/system.slice/jupyter.service\n",
        scope("a container of another engine"),
    ],
)
def test_any_other_process_is_a_client_of_its_own_with_its_pid(cgroup: str) -> None:
    has = [foreign_container("x")]
    found = clients(has, [opened(cgroup, "GPU-1"), opened(cgroup, "GPU-1", pid=900)])
    assert [str(one.name) for one in found] == ["python3 (PID 812)", "python3 (PID 900)"]
    assert not any(one.may_stop(True) for one in found)


def test_processes_of_a_container_that_ended_are_on_their_own() -> None:
    has = [replace(foreign_container("x"), running=False)]
    assert [one.name for one in clients(has, [opened(scope("x"), "GPU-1")])] == ["python3 (PID 812)"]


# Who may be stopped


@pytest.mark.parametrize(
    ("client", "without_force", "with_force"),
    [
        (Client("x", frozenset()), False, False),
        (Client("x", frozenset(), container="x", model=True), False, True),
        (Client("x", frozenset(), container="x", model=True, leaving=True), True, True),
        (Client("x", frozenset(), unit="dcgm.service", watcher=True), False, True),
        (Client("x", frozenset(), unit=PERSISTENCE), True, True),
        (Client("x", frozenset(), container="x", watcher=True, own=True), True, True),
    ],
)
def test_who_may_be_stopped_with_and_without_force(client: Client, without_force: bool, with_force: bool) -> None:
    assert (client.may_stop(False), client.may_stop(True)) == (without_force, with_force)
