"""Docker's answers converted to our types.

The files in data/ were captured with `docker inspect` from Docker Engine 20.10.24 (parts nobody
reads are left out), of containers that Docker.create had made and of two made by hand. The models'
aliases were put in afterwards, the way the same engine reports them.
"""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import docker.errors
import pytest
import requests
import urllib3.exceptions
from ansible_collections.inference.fleet.plugins.module_utils.engine import docker as engine
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    ImageDefaults,
    Mount,
    Observed,
    Spec,
    desired_containers,
    plan_containers,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.entrypoint import ENTRYPOINT
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.samples import entry, fleet

DATA = Path(__file__).parent / "data"
IMAGE = "unit-probe:1"


def captured(name: str) -> dict[str, Any]:
    """As a container was inspected."""
    data: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text())
    return data


def move_to_its_network(data: dict[str, Any], model: str) -> None:
    """The containers were captured before each model had a network."""
    networks = data["NetworkSettings"]["Networks"]
    networks[f"fleet-model-{model}"] = networks.pop("llm-network")


def limit_its_urls(data: dict[str, Any]) -> None:
    """The containers were captured before they had limits on URLs."""
    data["Config"]["Env"] += ["VLLM_MEDIA_URL_ALLOW_REDIRECTS=0"]
    data["Config"]["Cmd"][5:5] = ["--allowed-media-domains", "none/"]


class FakeApi:
    """A FAKE of docker.APIClient: it answers from the captured files. says: method -> what it does instead."""

    base_url = "http+docker://localhost"

    def __init__(self, *containers: str) -> None:
        self.listed = [
            {"Id": one["Id"], "Names": [one["Name"]], "Labels": one["Config"]["Labels"]}
            for one in map(captured, containers)
        ]
        self.inspected = {one["Id"]: one for one in map(captured, containers)}
        self.inspected.update({one["Name"].lstrip("/"): one for one in map(captured, containers)})
        self.calls: list[str] = []
        self.says: dict[str, Callable[..., Any]] = {}

    def __getattr__(self, method: str) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            self.calls.append(" ".join([method, *map(str, arguments)]))
            return self.says.get(method, lambda *_a, **_o: None)(*arguments, **options)

        return call

    def version(self, api_version: bool) -> dict[str, Any]:
        assert not api_version, "asked under a version that the engine may refuse"
        self.says.get("version", lambda: None)()
        return {"Version": "29.1.3", "ApiVersion": "1.52", "MinAPIVersion": "1.44"}

    def containers(self, all: bool) -> list[dict[str, Any]]:
        assert all
        return self.listed

    def inspect_container(self, name: str) -> dict[str, Any]:
        if name not in self.inspected:
            raise docker.errors.NotFound("no such container")
        return self.inspected[name]

    def inspect_image(self, reference: str) -> dict[str, Any]:
        if reference != IMAGE:
            raise docker.errors.ImageNotFound("no such image")
        return captured("image")


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> FakeApi:
    fake = FakeApi("running", "gpus_not_started", "local_weights", "restarting", "all_gpus", "health_check")
    monkeypatch.setattr(engine, "APIClient", lambda **_options: fake)
    return fake


@pytest.fixture
def host(api: FakeApi) -> engine.Docker:
    return engine.Docker()


def raising(error: Exception) -> Callable[..., Any]:
    def call(*_arguments: Any, **_options: Any) -> Any:
        raise error

    return call


# A container


def test_reads_a_running_container() -> None:
    container = engine._container(captured("running"))
    anonymous = [Mount(mount["Name"], mount["Destination"]) for mount in captured("running")["Mounts"][1:]]
    assert (container.status, container.address, container.restarts) == ("running", "172.19.0.4", 0)
    assert container.started_at == "2026-11-24T06:14:49.234319353Z"
    assert (container.model, container.health) == ("probe-hub", "")
    assert container.spec == Spec(
        name="vllm-probe-hub-1",
        image=captured("image")["Id"],
        entrypoint=("vllm", "serve"),
        command=("Qwen/Qwen3-8B", "--served-model-name", "probe-hub", "--port", "8000", "--max-model-len", "8192"),
        env={
            "EMPTY": "",
            "HF_TOKEN": "hf_1234567890",
            "MULTI": "a\nb=c",
            "VLLM_LOGGING_LEVEL": "DEBUG",
            "VLLM_USAGE_SOURCE": "unit",
        },
        mounts=(Mount("/tmp/probe/cache", "/root/.cache/huggingface"), *anonymous),
        networks=("llm-network",),
        devices=(),
        labels={
            "managed-by": "inference.fleet",
            "model-name": "probe-hub",
            "model-type": "chat",
            "org.opencontainers.image.title": "stand-in",
        },
        restart="on-failure",
        cpus="",
        shm_size=8 << 30,
        ipc="private",
        init=False,
        aliases=("probe-hub.model",),
        capabilities=("those of Docker",),
        new_privileges=True,
    )


def test_reads_how_a_container_is_confined() -> None:
    spec = engine._container(captured("confined")).spec
    assert (spec.capabilities, spec.new_privileges, spec.memory) == (("DAC_OVERRIDE",), False, 1 << 30)
    assert [(mount.target, mount.read_only) for mount in spec.mounts] == [
        ("/var/cache/inference-fleet", True),
        ("/var/tmp", False),
    ]


@pytest.mark.parametrize(
    ("settings", "capabilities", "new_privileges"),
    [
        ({"CapAdd": ["CAP_DAC_OVERRIDE"], "CapDrop": ["CAP_ALL"]}, ("DAC_OVERRIDE",), False),
        ({"SecurityOpt": ["label=disable", "no-new-privileges:true"]}, ("DAC_OVERRIDE",), False),
        ({"SecurityOpt": ["no-new-privileges:false"]}, ("DAC_OVERRIDE",), True),
        ({"SecurityOpt": None, "CapDrop": None}, ("those of Docker", "DAC_OVERRIDE"), True),
        ({"CapAdd": ["NET_RAW", "DAC_OVERRIDE"]}, ("DAC_OVERRIDE", "NET_RAW"), False),
        ({"CapAdd": None}, (), False),
    ],
)
def test_reads_the_spellings_of_other_engines(
    settings: dict[str, Any], capabilities: tuple[str, ...], new_privileges: bool
) -> None:
    data = captured("confined")
    data["HostConfig"].update(settings)
    spec = engine._container(data).spec
    assert (spec.capabilities, spec.new_privileges) == (capabilities, new_privileges)


def test_a_confined_container_as_docker_reports_it_differs_in_nothing_from_what_was_asked_for(
    host: engine.Docker,
) -> None:
    asked = fleet(entry(name="probe-confined", source="own/a", devices={"cpu": True}, image=IMAGE, memory="1g"))
    data = captured("confined")
    data["Config"]["Entrypoint"] = list(ENTRYPOINT)  # it changes with each version of the script
    move_to_its_network(data, "probe-confined")
    limit_its_urls(data)
    (volume,) = (mount for mount in data["Mounts"] if mount["Destination"] == "/var/tmp")
    (desired,) = desired_containers(asked, {})
    images = host.observe([IMAGE]).images
    mounts = desired.spec.mounts_with(images[IMAGE].id)
    volume["Name"] = next(mount.source for mount in mounts if mount.target == "/var/tmp")  # has the command
    observed = Observed((engine._container(data),), frozenset(), images)
    (start,) = plan_containers(desired_containers(asked, {}), observed).actions
    assert str(start) == "start vllm-probe-confined-1 (was created)"


def test_reads_the_gpus_of_a_container_that_was_never_started() -> None:
    container = engine._container(captured("gpus_not_started"))
    assert (container.status, container.spec.devices, container.address) == ("created", ("0", "1"), None)
    assert container.spec.networks == ("llm-network",)


@pytest.mark.parametrize("aliases", [None, [], ["6edb8e3bd994"]])
def test_a_container_that_only_docker_named_has_no_aliases(aliases: list[str] | None) -> None:
    """Docker lists the short ID among them once the container was started."""
    data = captured("running")
    data["NetworkSettings"]["Networks"]["llm-network"]["Aliases"] = aliases
    assert engine._container(data).spec.aliases == ()


def test_reads_a_request_for_all_gpus() -> None:
    assert engine._container(captured("all_gpus")).spec.devices == ("all",)


def test_reads_a_folder_that_is_mounted_read_only() -> None:
    mounts = engine._container(captured("local_weights")).spec.mounts
    assert set(map(str, mounts)) == {
        "/tmp/probe/cache:/root/.cache/huggingface",
        "/tmp/probe/weights/x:/tmp/probe/weights/x:ro",
    }


def test_reads_how_a_container_ended() -> None:
    container = engine._container(captured("restarting"))
    assert (container.status, container.exit_code, container.restarts) == ("restarting", 3, 9)


def test_reads_health_and_named_volumes() -> None:
    container = engine._container(captured("health_check"))
    assert (container.health, container.last_check) == ("starting", ("", ""))
    assert Mount("probe-vol", "/data") in container.spec.mounts


def test_reads_what_the_last_health_check_said() -> None:
    data = captured("health_check")
    data["State"]["Health"]["Log"] = [
        {"Start": f"2026-11-24T06:15:2{second}.7Z", "End": "", "ExitCode": 1, "Output": f"said at {second}"}
        for second in (3, 6)
    ]
    assert engine._container(data).last_check == ("2026-11-24T06:15:26.7Z", "said at 6")


@pytest.mark.parametrize(
    ("test", "command"),
    [
        (["CMD", "pg_isready", "--quiet"], ("pg_isready", "--quiet")),
        (["CMD-SHELL", "vllm"], ("/bin/sh", "-c", "vllm")),
        (["NONE"], ()),
        ([], ()),
        (None, ()),
    ],
)
def test_reads_how_health_is_checked(test: list[str] | None, command: tuple[str, ...]) -> None:
    data = captured("health_check")
    data["Config"]["Healthcheck"] = None if test is None else {"Test": test}
    assert engine._container(data).health_check == command


@pytest.mark.parametrize(("status", "well"), [(0, True), (1, False), (None, False)])
def test_a_health_check_is_run_when_it_is_asked_for(api: FakeApi, status: int | None, well: bool) -> None:
    api.says["exec_create"] = lambda *_a: {"Id": "e1"}
    api.says["exec_inspect"] = lambda _id: {"ExitCode": status}
    container = engine._container(captured("health_check"))
    assert engine.Docker().is_well(container) is well
    assert f"exec_create {container.id} ['/bin/sh', '-c', 'vllm']" in api.calls


def test_a_container_that_ended_before_it_could_be_checked_is_not_well(api: FakeApi) -> None:
    api.says["exec_create"] = raising(docker.errors.APIError("is not running"))
    assert not engine.Docker().is_well(engine._container(captured("health_check")))


@pytest.mark.parametrize(("health", "well"), [("healthy", True), ("", False)])
def test_docker_is_believed_what_it_found_and_a_container_without_a_check_is_never_well(
    api: FakeApi, health: str, well: bool
) -> None:
    container = replace(engine._container(captured("health_check")), health=health, health_check=())
    assert engine.Docker().is_well(container) is well
    assert not [call for call in api.calls if call.startswith("exec")]


@pytest.mark.parametrize(("part", "field"), [("Entrypoint", "entrypoint"), ("Cmd", "command"), ("Env", "env")])
def test_reads_a_container_that_lacks_a_part(part: str, field: str) -> None:
    data = captured("running")
    data["Config"][part] = None
    assert not getattr(engine._container(data).spec, field)


def test_reads_a_container_without_networks() -> None:
    data = captured("running")
    data["NetworkSettings"]["Networks"] = None
    container = engine._container(data)
    assert (container.spec.networks, container.address) == ((), None)


NO_PARSERS = {"tool-call-parser": None, "reasoning-parser": None}  # as when these containers were made


@pytest.mark.parametrize(
    ("file", "one"),
    [
        (
            "running",
            {
                "name": "probe-hub",
                "devices": {"cpu": True},
                "args": {"max-model-len": 8192, **NO_PARSERS},
                "env": {"VLLM_LOGGING_LEVEL": "DEBUG", "HF_TOKEN": "hf_1234567890", "EMPTY": "", "MULTI": "a\nb=c"},
            },
        ),
        (
            "gpus_not_started",
            {"name": "probe-gpu", "devices": {"gpus": [0, 1]}, "state": "stopped", "args": NO_PARSERS},
        ),
    ],
)
def test_a_container_as_docker_reports_it_differs_in_nothing_from_what_was_asked_for(
    file: str, one: dict[str, Any], host: engine.Docker
) -> None:
    """A round trip over real data: the arguments of Docker.create against Docker's report of the container. The
    containers were captured before they had an init, HF_HOME, limits on URLs, the entrypoint that counts deaths, and
    before they were confined and had a network for each model."""
    asked = fleet(
        entry(**{"image": IMAGE, "outbound": False, **one}),
        cache={"path": "/tmp/probe/cache/", "downloads": "at_start", "compiled": False},
    )
    data = captured(file)
    data["HostConfig"]["Init"] = True
    data["Config"]["Entrypoint"] = list(ENTRYPOINT)
    data["Config"]["Env"] += ["HF_HOME=/var/cache/inference-fleet", "HF_MODULES_CACHE=/tmp/inference-fleet-modules"]
    data["Mounts"][0]["Destination"] = "/var/cache/inference-fleet"
    data["HostConfig"].update(CapDrop=["ALL"], CapAdd=["DAC_OVERRIDE"], SecurityOpt=["no-new-privileges"])
    move_to_its_network(data, one["name"])
    limit_its_urls(data)
    container = engine._container(data)
    images = host.observe([IMAGE]).images
    held = {container.spec.name: container.spec.devices}
    desired = desired_containers(asked, held)
    assert plan_containers(desired, Observed((container,), frozenset(), images), prune=True).actions == ()
    data["HostConfig"]["Init"] = False
    without = Observed((engine._container(data),), frozenset(), images)
    assert "changed: init" in str(plan_containers(desired, without, prune=True).actions[-1 - (file == "running")])


# The whole host


def test_observes_model_containers_and_only_names_the_others(host: engine.Docker) -> None:
    observed = host.observe([IMAGE, "own/none:1"])
    assert [one.spec.name for one in observed.containers] == [
        "vllm-probe-hub-1",
        "vllm-probe-gpu-1",
        "vllm-probe-slash-1",
        "vllm-probe-dies-1",
    ]
    assert observed.foreign == {"probe-all-gpus", "probe-health"}
    assert set(observed.images) == {IMAGE}


def test_reads_an_image_with_its_volumes_as_they_are_mounted(host: engine.Docker) -> None:
    """The image declares `VOLUME /data/`; a container has the volume at /data."""
    assert host.observe([IMAGE]).images[IMAGE] == ImageDefaults(
        id=captured("image")["Id"],
        env={"VLLM_USAGE_SOURCE": "unit"},
        labels={"org.opencontainers.image.title": "stand-in"},
        volumes=("/data", "/logs"),
    )


def test_a_container_that_vanishes_while_it_is_looked_at_is_not_there(api: FakeApi, host: engine.Docker) -> None:
    del api.inspected[api.listed[0]["Id"]]
    assert "vllm-probe-hub-1" not in [one.spec.name for one in host.observe([]).containers]


def test_a_container_has_the_name_that_no_link_gave_it(api: FakeApi, host: engine.Docker) -> None:
    api.listed[-1]["Names"] = ["/other/alias", "/probe-health"]
    assert "probe-health" in host.observe([]).foreign


def test_a_container_without_labels_or_name_is_somebody_elses(api: FakeApi, host: engine.Docker) -> None:
    api.listed[:] = [{"Id": "1", "Names": ["/bare"], "Labels": None}, {"Id": "2", "Names": None, "Labels": {}}]
    assert host.observe([]) == Observed((), frozenset({"bare"}), {})


@pytest.mark.parametrize(
    ("labels", "ours"),
    [
        ({"managed-by": "inference.fleet", "model-name": "a"}, True),
        ({"managed-by": "inference.fleet", "service": "caddy"}, False),
        ({"managed-by": "somebody", "model-name": "a"}, False),
        ({"model-name": "a"}, False),
        ({}, False),
    ],
)
def test_only_both_labels_make_a_container_ours(labels: dict[str, str], ours: bool) -> None:
    assert engine._is_model(labels) is ours


def test_inspects_what_is_not_there_as_nothing(host: engine.Docker) -> None:
    assert host.inspect("vllm-none-1") is None
    found = host.inspect("vllm-probe-hub-1")
    assert found is not None
    assert found.spec.name == "vllm-probe-hub-1"


# Calls to Docker


def test_removes_after_a_stop_and_with_anonymous_volumes(api: FakeApi, host: engine.Docker) -> None:
    options: dict[str, Any] = {}
    api.says["remove_container"] = lambda _id, **given: options.update(given)
    host.remove("0123", "vllm-a-1")
    assert api.calls[-2:] == ["stop 0123", "remove_container 0123"]
    assert options == {"v": True, "force": True}  # v: the anonymous volumes only, as `docker rm -v` does


ZOMBIE = "Container 0123 PID 812 is zombie and can not be killed. Use the --init option when creating containers to run"


@pytest.mark.parametrize("call", ["stop", "remove"])
@pytest.mark.parametrize(
    ("times", "words", "stops", "good"),
    [
        (2, ZOMBIE, 3, True),
        (engine.ZOMBIE_TRIES, ZOMBIE, engine.ZOMBIE_TRIES, False),
        (1, "permission denied", 1, False),
    ],
)
def test_a_stop_that_meets_a_zombie_is_tried_again(
    call: str,
    times: int,
    words: str,
    stops: int,
    good: bool,
    api: FakeApi,
    host: engine.Docker,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(engine.time, "sleep", pauses.append)
    errors = [server_error(words)] * times

    def stop(*_arguments: Any, **_options: Any) -> None:
        if errors:
            raise errors.pop()

    api.says["stop"] = stop
    with nullcontext() if good else pytest.raises(FleetError, match=words.split(".")[0]):
        host.stop("vllm-a-1") if call == "stop" else host.remove("0123", "vllm-a-1")
    assert len([line for line in api.calls if line.startswith("stop ")]) == stops
    assert pauses == [engine.ZOMBIE_SECONDS] * (stops - 1)


def test_a_container_that_is_gone_already_is_removed(api: FakeApi, host: engine.Docker) -> None:
    api.says["stop"] = raising(docker.errors.NotFound("no such container"))
    host.remove("0123", "vllm-a-1")


@pytest.mark.parametrize(
    ("reference", "repository", "tag"),
    [
        ("own/vllm:1", "own/vllm", "1"),
        ("registry:5000/own/vllm:1", "registry:5000/own/vllm", "1"),
        ("own/vllm@sha256:" + "0" * 64, "own/vllm", "sha256:" + "0" * 64),
        ("registry:5000/own/vllm:1@sha256:" + "0" * 64, "registry:5000/own/vllm", "sha256:" + "0" * 64),
    ],
)
def test_pulls_the_one_image_that_was_asked_for(
    reference: str, repository: str, tag: str, api: FakeApi, host: engine.Docker
) -> None:
    pulled = {}
    api.says["pull"] = lambda name, **options: pulled.update(name=name, tag=options["tag"]) or []  # type: ignore[func-returns-value]
    host.pull(reference)
    assert pulled == {"name": repository, "tag": tag}


def test_creates_with_a_bind_for_folders_and_a_volume_for_names(api: FakeApi, host: engine.Docker) -> None:
    made: dict[str, Any] = {}
    api.says["create_host_config"] = lambda **options: options
    api.says["create_container"] = lambda image, **options: made.update(options, image=image)
    asked = fleet(
        entry(name="a", source="/srv/qwen", devices={"gpus": [1]}, env={"A": "1"}),
        logs={"max_size": "9m", "max_file": 2},
    )
    (desired,) = desired_containers(asked, {"vllm-a-1": ("1",)})
    host.create(desired.spec)
    config = made.pop("host_config")
    assert [(one["Type"], one["Source"], one["ReadOnly"]) for one in config["mounts"]] == [
        ("volume", "fleet-hf-cache", True),
        ("bind", "/srv/qwen", True),
        ("volume", desired.spec.mounts[-1].source, False),
    ]
    assert config["log_config"] == {"type": "json-file", "config": {"max-size": "9m", "max-file": "2"}}
    (request,) = config["device_requests"]
    assert (request["DeviceIDs"], request["Capabilities"]) == (["1"], [["gpu"]])
    assert config["restart_policy"] == {"Name": "on-failure"}
    assert config["init"] is True
    assert "port_bindings" not in config
    assert (made["name"], made["image"], made["environment"]) == ("vllm-a-1", desired.spec.image, desired.spec.env)


def test_creates_without_rights_beyond_those_that_a_model_needs(api: FakeApi, host: engine.Docker) -> None:
    made: dict[str, Any] = {}
    api.says["create_host_config"] = lambda **options: options
    api.says["create_container"] = lambda _image, **options: made.update(options)
    for limit, memory in (({"memory": "64g"}, 64 << 30), ({}, None)):
        (desired,) = desired_containers(fleet(entry(name="a", devices={"cpu": True}, **limit)), {})
        host.create(desired.spec)
        config = made["host_config"]
        assert (config["cap_drop"], config["cap_add"]) == (["ALL"], ["DAC_OVERRIDE"])
        assert (config["security_opt"], config["pids_limit"]) == (["no-new-privileges"], 16384)
        assert (config.get("mem_limit"), config.get("memswap_limit")) == (memory, memory)
        assert config["ipc_mode"] == "private"
        assert made["user"] is None, "the image's"
    host.create(replace(desired.spec, user="0"))
    assert made["user"] == "0"


@pytest.mark.parametrize(("method", "key"), [("limits_cpus", "CPUSet"), ("limits_memory", "MemoryLimit")])
def test_reads_what_the_kernel_can_limit(method: str, key: str, api: FakeApi, host: engine.Docker) -> None:
    for info, able in (({key: True}, True), ({key: False}, False), ({}, False)):
        api.says["info"] = lambda info=info: info
        assert getattr(host, method)() is able


def test_the_volume_with_compiled_code_is_named_by_the_image_that_is_on_the_host(
    api: FakeApi, host: engine.Docker
) -> None:
    made: dict[str, Any] = {}
    api.says["create_host_config"] = made.update
    asked = desired_containers(fleet(entry(name="a", image=IMAGE, devices={"cpu": True})), {})[0].spec
    host.create(asked)
    assert made["mounts"][-1]["Source"] == asked.mounts_with(captured("image")["Id"])[-1].source
    assert engine.is_compiled(made["mounts"][-1]["Source"])


def test_leaves_logs_to_the_configuration_of_docker_where_the_inventory_says_so(
    api: FakeApi, host: engine.Docker
) -> None:
    made: dict[str, Any] = {}
    api.says["create_host_config"] = made.update
    asked = fleet(entry(name="a", devices={"cpu": True}), logs={"driver": "daemon"})
    host.create(desired_containers(asked, {})[0].spec)
    assert "log_config" not in made


def test_a_container_is_found_by_its_models_name_in_the_network(api: FakeApi, host: engine.Docker) -> None:
    networks: dict[str, Any] = {}
    api.says["create_endpoint_config"] = lambda **options: docker.types.EndpointConfig("1.41", **options)
    api.says["create_networking_config"] = networks.update
    host.create(desired_containers(fleet(entry(name="a", devices={"cpu": True})), {})[0].spec)
    assert networks == {"fleet-model-a": {"Aliases": ["a.model"]}}


def test_a_container_is_created_in_one_network_and_connected_to_the_second(api: FakeApi, host: engine.Docker) -> None:
    """Engines before API 1.44 refuse several networks at the creation."""
    networks: dict[str, Any] = {}
    connected: list[Any] = []
    api.says["create_networking_config"] = networks.update
    api.says["connect_container_to_network"] = lambda *given, **options: connected.append((*given, options["aliases"]))
    host.create(desired_containers(fleet(entry(name="a", outbound=True, devices={"cpu": True})), {})[0].spec)
    assert list(networks) == ["fleet-model-a"]
    assert connected == [("vllm-a-1", "fleet-out-a", ["a.model"])]


def test_a_container_that_is_reconnected_is_found_by_its_models_name_too(api: FakeApi, host: engine.Docker) -> None:
    options: dict[str, Any] = {}
    api.says["connect_container_to_network"] = lambda _name, _network, **given: options.update(given)
    host.connect("vllm-a-1", "llm-network", ("a.model",))
    assert options == {"aliases": ["a.model"]}


def test_creates_without_a_request_for_devices_where_none_are_needed(api: FakeApi, host: engine.Docker) -> None:
    config: dict[str, Any] = {}
    api.says["create_host_config"] = lambda **options: config.update(options)
    asked = fleet(entry(devices={"cpu": True}))
    host.create(desired_containers(asked, {})[0].spec)
    assert "device_requests" not in config


def test_a_container_with_gpus_is_given_their_device_nodes_by_name_too(api: FakeApi, host: engine.Docker) -> None:
    config: dict[str, Any] = {}
    api.says["create_host_config"] = lambda **options: config.update(docker.types.HostConfig("1.41", **options))
    asked = fleet(entry(name="a", devices={"gpus": [1]}))
    nodes = ("/dev/nvidia1", "/dev/nvidiactl")
    (desired,) = desired_containers(asked, {"vllm-a-1": ("GPU-1",)}, nodes=lambda devices: nodes if devices else ())
    host.create(desired.spec)
    assert [(one["PathOnHost"], one["CgroupPermissions"]) for one in config["Devices"]] == [
        ("/dev/nvidia1", "rwm"),
        ("/dev/nvidiactl", "rwm"),
    ]


@pytest.mark.parametrize(
    ("call", "reported"),
    [
        (lambda host: host.start("a"), "start a"),
        (lambda host: host.stop("a"), "stop a"),
        (lambda host: host.unpause("a"), "unpause a"),
        (lambda host: host.connect("a", "net", ["a.model"]), "connect_container_to_network a net"),
        (lambda host: host.disconnect("a", "net"), "disconnect_container_from_network a net"),
        (lambda host: host.set_restart("a", "no"), "update_container a"),
        (lambda host: host.set_cpus("a", "0,1"), "update_container a"),
        (lambda host: host.set_weight("a", 256), "update_container a"),
    ],
)
def test_calls_docker_as_planned(call: Any, reported: str, api: FakeApi, host: engine.Docker) -> None:
    call(host)
    assert api.calls[-1] == reported


@pytest.mark.parametrize(
    ("since", "count", "asked"),
    [(0, 100, {"tail": 100}), (1795488000, 0, {"since": 1795488000, "tail": "all"})],
)
def test_reads_lines_of_a_log_with_their_times(
    since: int, count: int, asked: dict[str, Any], api: FakeApi, host: engine.Docker
) -> None:
    options: dict[str, Any] = {}

    def logs(_name: str, **given: Any) -> bytes:
        options.update(given)
        return b"T1 \x1b[31mred\x1b[0m\nT2 10%\r20%\n"

    api.says["logs"] = logs
    assert host.timed_lines("vllm-a-1", since, count) == ["T1 red", "T2 10%\r20%", ""]
    assert options == {"timestamps": True, "stdout": True, "stderr": True, **asked}


@pytest.mark.parametrize(
    ("log", "text"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", "]0;title"),
        ("\x1b]52;c;cm0gLXJm\x1b\\", "]52;c;cm0gLXJm\\"),
        ("a\x08\x08b\x7f\x9b31mc\0", "ab31mc"),
        ("tab\tand\nline\r é 模 \U0001f600", "tab\tand\nline\r é 模 \U0001f600"),
    ],
)
def test_a_log_cannot_control_the_terminal_of_an_admin(log: str, text: str) -> None:
    assert engine.plain_text(log) == text


def test_names_the_containers_of_this_collection_that_have_a_label(
    host: engine.Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def containers(all: bool, filters: Any) -> list[dict[str, Any]]:
        asked.append((all, filters))
        return [{"Names": ["/vllm-a-2"]}, {"Names": ["/web/vllm", "/vllm-a-1"]}]

    monkeypatch.setattr(host, "_api", SimpleNamespace(containers=containers))
    assert host.named({"model-name": "a"}) == ["vllm-a-1", "vllm-a-2"]
    assert asked == [(True, {"label": ["managed-by=inference.fleet", "model-name=a"]})]


def test_gives_the_end_of_a_log_without_colours(api: FakeApi, host: engine.Docker) -> None:
    api.says["logs"] = lambda _name, **options: b"\x1b[31mERROR\x1b[0m \xff\nlast\n" if options["tail"] == 20 else b""
    assert host.last_lines("a", 20) == ["ERROR \ufffd", "last"]


@pytest.mark.parametrize(
    ("base_url", "proxies"), [("http+docker://localhost", False), ("https://gpu1.example.com:2376", True)]
)
def test_only_an_engine_that_is_elsewhere_may_be_behind_a_proxy(
    base_url: str, proxies: bool, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FakeApi, "base_url", base_url)
    engine.Docker()
    assert api.__dict__["trust_env"] is proxies


# What goes wrong


NO_POOL: Any = None


def server_error(words: str) -> docker.errors.APIError:
    return docker.errors.APIError("500 Server Error", explanation=words)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            server_error("no space left on device"),
            "no space left on device; Docker's disk is full: `docker system df` shows what uses it; see prune_images",
        ),
        (server_error("permission denied: unknown"), "permission denied: unknown"),
        (docker.errors.APIError("409 Conflict"), "409 Conflict"),
        (docker.errors.DockerException("odd"), "odd"),
        (requests.ConnectionError("connection refused"), "connection refused"),
        (requests.ReadTimeout("read timed out"), "read timed out"),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
        (http.client.IncompleteRead(b""), "the answer was cut off"),
        (json.JSONDecodeError("Expecting value", "", 0), "the engine's answer is incomplete or is not JSON"),
    ],
)
def test_an_error_of_docker_is_a_fault_that_says_what_was_being_done(
    error: Exception, words: str, api: FakeApi, host: engine.Docker
) -> None:
    api.says["start"] = raising(error)
    with pytest.raises(FleetError) as caught:
        host.start("vllm-a-1")
    assert str(caught.value) == f"starting container vllm-a-1: {words}"


@pytest.mark.parametrize(
    ("call", "method", "doing"),
    [
        (lambda host: host.pull("own/vllm:1"), "pull", "image own/vllm:1: cannot be pulled and is not on this host"),
        (lambda host: host.remove("0", "a"), "stop", "removing container a"),
        (lambda host: host.stop("a"), "stop", "stopping container a"),
        (lambda host: host.unpause("a"), "unpause", "unpausing container a"),
        (
            lambda host: host.connect("a", "net", ["a.model"]),
            "connect_container_to_network",
            "connecting container a to net",
        ),
        (
            lambda host: host.disconnect("a", "net"),
            "disconnect_container_from_network",
            "disconnecting container a from net",
        ),
        (lambda host: host.set_restart("a", "no"), "update_container", "setting the restart policy of container a"),
        (lambda host: host.set_cpus("a", "0"), "update_container", "setting the CPUs of container a"),
        (lambda host: host.set_weight("a", 256), "update_container", "setting the CPU weight of container a"),
        (lambda host: host.last_lines("a", 1), "logs", "reading the log of container a"),
    ],
)
def test_every_call_says_what_it_was_doing(
    call: Any, method: str, doing: str, api: FakeApi, host: engine.Docker
) -> None:
    api.says[method] = raising(server_error("no"))
    with pytest.raises(FleetError) as caught:
        call(host)
    assert str(caught.value) == f"{doing}: no"


def test_the_registrys_own_words_are_reported(api: FakeApi, host: engine.Docker) -> None:
    api.says["pull"] = lambda *_a, **_o: [{"status": "Pulling"}, {"error": "manifest for own/vllm:1 not found"}]
    with pytest.raises(FleetError) as caught:
        host.pull("own/vllm:1")
    assert str(caught.value) == (
        "image own/vllm:1: cannot be pulled and is not on this host: manifest for own/vllm:1 not found"
    )


@pytest.mark.parametrize(
    "words",
    [
        "pull access denied for own/vllm, repository does not exist or may require 'docker login': denied: requested "
        "access to the resource is denied",
        "Head https://registry.example/v2/own/vllm/manifests/1: unauthorized: authentication required",
        "error from registry: denied",
        "Head https://registry.example/v2/own/vllm/manifests/1: no basic auth credentials",
    ],
)
@pytest.mark.parametrize("streamed", [False, True])
def test_a_registry_that_asks_for_a_login_is_reported_with_what_to_do(
    words: str, streamed: bool, api: FakeApi, host: engine.Docker
) -> None:
    api.says["pull"] = (lambda *_a, **_o: [{"error": words}]) if streamed else raising(server_error(words))
    with pytest.raises(FleetError) as caught:
        host.pull("own/vllm:1")
    assert str(caught.value) == (
        f"image own/vllm:1: cannot be pulled and is not on this host: {words}; the registry asks for a login, or has "
        "no such image: run `docker login REGISTRY` as root on this host, or check the name"
    )


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (urllib3.exceptions.ReadTimeoutError(NO_POOL, "/images/create", "read timed out"), ".*read timed out"),
        (urllib3.exceptions.ProtocolError("connection broken"), "connection broken"),
        (
            urllib3.exceptions.ProtocolError(
                "Connection broken: IncompleteRead(0 bytes read, 9 more expected)", http.client.IncompleteRead(b"", 9)
            ),
            "the answer was cut off",
        ),
        (ConnectionResetError(104, "Connection reset by peer"), "Connection reset by peer"),
    ],
)
def test_a_pull_that_breaks_off_is_a_fault_of_its_image(
    error: Exception, words: str, api: FakeApi, host: engine.Docker
) -> None:
    """The SDK reads the stream from urllib3 itself, whose errors requests does not wrap there."""

    def stream(*_arguments: Any, **_options: Any) -> Iterator[dict[str, str]]:
        yield {"status": "Downloading"}
        raise error

    api.says["pull"] = stream
    with pytest.raises(FleetError, match=rf"^image own/vllm:1: cannot be pulled and is not on this host: {words}$"):
        host.pull("own/vllm:1")


def test_a_docker_that_does_not_answer_is_reported_with_what_to_look_at(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = FileNotFoundError(2, "No such file or directory")
    aborted = urllib3.exceptions.ProtocolError("Connection aborted.", absent)
    api.says["version"] = raising(requests.ConnectionError(aborted))
    with pytest.raises(FleetError) as caught:
        engine.Docker()
    assert str(caught.value) == (
        "Docker does not answer; is it running (systemctl status docker)?: No such file or directory"
    )


def test_a_host_without_the_sdk_is_reported_with_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "SDK_ERROR", ImportError("No module named 'docker'"))
    with pytest.raises(FleetError) as caught:
        engine.Docker()
    assert str(caught.value) == (
        "the Docker SDK for Python is not on this host (python3-docker): No module named 'docker'"
    )


# Whether a model answers


def test_asks_a_model_at_its_address(host: engine.Docker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "is_healthy", lambda address: address == "172.19.0.4")
    assert host.is_healthy(engine._container(captured("running"))) is True


def test_a_container_without_an_address_is_not_healthy(host: engine.Docker) -> None:
    assert host.is_healthy(engine._container(captured("gpus_not_started"))) is False


# Compiled code


def test_lists_the_volumes_with_compiled_code_that_no_container_has(api: FakeApi, host: engine.Docker) -> None:
    ours = "fleet-compiled-vllm-a-1-0123456789ab"
    asked: dict[str, Any] = {}
    listed = [{"Name": name, "Mountpoint": f"/v/{name}"} for name in (ours, "x-fleet-compiled-x", "fleet-compiled-pg")]
    api.says["volumes"] = lambda filters: asked.update(filters) or {"Volumes": listed}
    assert host.unused_compiled() == {ours: f"/v/{ours}"}
    assert asked == {"dangling": True, "name": "fleet-compiled-"}
    api.says["volumes"] = lambda filters: {"Volumes": None}
    assert host.unused_compiled() == {}


def test_a_volume_that_is_gone_meanwhile_is_removed(api: FakeApi, host: engine.Docker) -> None:
    api.says["remove_volume"] = raising(docker.errors.NotFound("no such volume"))
    host.remove_compiled("fleet-compiled-vllm-a-1-0123456789ab")
    api.says["remove_volume"] = raising(docker.errors.APIError("conflict", explanation="volume is in use"))
    with pytest.raises(FleetError, match="removing volume fleet-compiled-vllm-a-1-0123456789ab: volume is in use"):
        host.remove_compiled("fleet-compiled-vllm-a-1-0123456789ab")
