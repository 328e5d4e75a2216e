"""The desired containers, and the steps from the observed to the desired state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.engine.containers import (
    COMPILED_MOUNT,
    STAGES,
    STARTING_WEIGHT,
    WEIGHT,
    Action,
    ImageDefaults,
    Mount,
    Plan,
    desired_containers,
    is_compiled,
    plan_containers,
)
from ansible_collections.inference.fleet.plugins.module_utils.engine.entrypoint import ENTRYPOINT
from ansible_collections.inference.fleet.plugins.module_utils.inventory.images import Images
from ansible_collections.inference.fleet.plugins.module_utils.inventory.logs import Logs
from ansible_collections.inference.fleet.plugins.module_utils.inventory.references import CACHE_MOUNT
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.engine.world import OWN_IMAGE, REGISTRY, World, converged, cpu
from ansible_collections.inference.fleet.tests.unit.samples import CERTIFICATE, entry, faults, fleet
from hypothesis import given
from hypothesis import strategies as st

STANDARD = Images().vllm
TOKEN = "hf_0123456789"


def spec(world: World, name: str = "vllm-a-1") -> Any:
    return {one.spec.name: one.spec for one in world.desired()}[name]


def compiled(world: World, name: str = "vllm-a-1") -> str:
    """The volume with its compiled code."""
    one = spec(world, name)
    mounts = one.mounts_with(REGISTRY[one.image].id)
    (source,) = (mount.source for mount in mounts if mount.target == COMPILED_MOUNT)
    return str(source)


PLACES = {
    "HF_HOME": "/var/cache/inference-fleet",
    "HF_MODULES_CACHE": "/tmp/inference-fleet-modules",
    "VLLM_CACHE_ROOT": "/var/tmp/vllm",
    "VLLM_MEDIA_URL_ALLOW_REDIRECTS": "0",
}

# What a container should be


def test_a_container_is_all_that_the_inventory_says_of_it() -> None:
    world = World(entry(name="a", devices={"gpus": [2, 3]}, args={"dtype": "auto"}, env={"A": "1"}, shm_size="1g"))
    assert spec(world).__dict__ == {
        "name": "vllm-a-1",
        "image": STANDARD,
        "entrypoint": ENTRYPOINT,
        "command": world.fleet.models[0].command,
        "env": {"A": "1", "HF_HUB_OFFLINE": "1", **PLACES},
        "mounts": (
            Mount("fleet-hf-cache", "/var/cache/inference-fleet", read_only=True),
            Mount("fleet-compiled-vllm-a-1", "/var/tmp"),
        ),
        "networks": ("fleet-model-a",),
        "devices": ("GPU-2", "GPU-3"),
        "labels": {"managed-by": "inference.fleet", "model-name": "a", "model-type": "chat"},
        "restart": "on-failure",
        "shm_size": 1 << 30,
        "ipc": "private",
        "nodes": (),
        "aliases": ("a.model",),
        "init": True,
        "cpus": None,
        "capabilities": ("DAC_OVERRIDE",),
        "new_privileges": False,
        "memory": 0,
        "user": "",
        "logs": Logs("json-file", "50m", 3),
        "weight": 1024,
    }


def test_weights_of_the_host_are_mounted_read_only_where_they_are() -> None:
    mounts = spec(World(cpu("a", source="/srv/qwen/"), cache={"path": "/srv/hf/", "compiled": False})).mounts
    assert [str(mount) for mount in mounts] == ["/srv/hf:/var/cache/inference-fleet:ro", "/srv/qwen:/srv/qwen:ro"]


def test_a_model_that_downloads_at_its_start_gets_the_proxy_and_the_certificates_and_no_other_model_does() -> None:
    proxy = "http://me:hunter22@proxy.example:3128"
    for downloads, used in (("at_start", True), ("before_start", False)):
        behind = fleet(entry(), proxy=proxy, ca_bundle=CERTIFICATE, cache={"downloads": downloads})
        (one,) = desired_containers(behind, {}, certificates="/etc/ssl/bundle.crt")
        assert (one.spec.env.get("HTTPS_PROXY"), "SSL_CERT_FILE" in one.spec.env) == (proxy if used else None, used)
        mounted = Mount("/etc/ssl/bundle.crt", "/run/secrets/host-certificates.crt", read_only=True)
        assert (mounted in one.spec.mounts) == used


def test_no_diff_shows_the_password_of_a_proxy() -> None:
    proxy = "http://me:hunter22@proxy.example:3128"
    (one,) = desired_containers(fleet(entry(), proxy=proxy, cache={"downloads": "at_start"}), {})
    changes = {"env": ({}, one.spec.env)}
    text = Plan((Action("remove", "x", changes=changes),), ()).diff()["after"]
    assert "x.env.HTTPS_PROXY: (secret)" in text
    assert "hunter22" not in text


@pytest.mark.parametrize(
    ("changes", "cache", "env"),
    [
        ({}, {}, {"HF_HUB_OFFLINE": "1"}),
        ({}, {"downloads": "never"}, {"HF_HUB_OFFLINE": "1"}),
        ({"source": "/srv/qwen"}, {}, {"HF_HUB_OFFLINE": "1"}),
        ({"source": "/srv/qwen", "env": {"HF_HUB_OFFLINE": 0}}, {}, {"HF_HUB_OFFLINE": "0", "HF_TOKEN": TOKEN}),
        ({"env": {"HF_HUB_OFFLINE": 0}}, {}, {"HF_HUB_OFFLINE": "0", "HF_TOKEN": TOKEN}),
        ({}, {"downloads": "at_start"}, {"HF_TOKEN": TOKEN}),
        ({"env": {"HF_TOKEN": "own"}}, {"downloads": "at_start"}, {"HF_TOKEN": "own"}),
        ({"source": "/srv/qwen"}, {"downloads": "at_start"}, {"HF_HUB_OFFLINE": "1"}),
        ({"env": {"HF_HUB_OFFLINE": 1}}, {"downloads": "at_start"}, {"HF_HUB_OFFLINE": "1"}),
        (
            {},
            {"downloads": "at_start", "endpoint": "https://hub.example/hf/"},
            {"HF_ENDPOINT": "https://hub.example/hf", "HF_TOKEN": TOKEN},
        ),
    ],
)
def test_a_model_asks_a_hub_and_has_its_token_only_where_it_downloads_by_itself(
    changes: dict[str, Any], cache: dict[str, Any], env: dict[str, str]
) -> None:
    found = spec(World(cpu("a", **changes), cache=cache, hf_token=TOKEN))
    assert found.env == {**PLACES, **env}
    (mount,) = (one for one in found.mounts if one.target == CACHE_MOUNT)
    assert mount.read_only == (env.get("HF_HUB_OFFLINE") == "1"), "only who downloads may write the cache"


def test_every_replica_is_a_container_and_an_absent_model_has_none() -> None:
    world = World(cpu("a", replicas=2), cpu("b", state="absent"), cpu("c", state="stopped", ready_timeout=7))
    assert [(one.spec.name, one.model, one.running, one.ready_timeout) for one in world.desired()] == [
        ("vllm-a-1", "a", True, 1800),
        ("vllm-a-2", "a", True, 1800),
        ("vllm-c-1", "c", False, 7),
    ]


def test_a_run_for_some_models_asks_for_their_containers_only() -> None:
    two = fleet(cpu("a"), cpu("b"))
    assert [one.model for one in desired_containers(two, {}, ["b"])] == ["b"]
    assert desired_containers(two, {}, []) == ()


# From nothing


def test_pulls_creates_and_starts_what_is_missing() -> None:
    assert World(cpu("a", replicas=2), cpu("b", image=OWN_IMAGE)).steps() == [
        f"pull {OWN_IMAGE}",
        f"pull {STANDARD}",
        "create vllm-a-1 (missing)",
        "create vllm-a-2 (missing)",
        "create vllm-b-1 (missing)",
        "start vllm-a-1",
        "start vllm-a-2",
        "start vllm-b-1",
    ]


def test_creates_a_stopped_models_container_and_does_not_start_it() -> None:
    assert World(cpu("a", state="stopped")).steps() == [f"pull {STANDARD}", "create vllm-a-1 (missing)"]


def test_pulls_nothing_that_is_there() -> None:
    world = converged(cpu("a"))
    world.inventory(cpu("a"), cpu("b"))
    assert world.steps() == ["create vllm-b-1 (missing)", "start vllm-b-1"]


def test_pulls_nothing_for_an_absent_model() -> None:
    assert World(cpu("a", state="absent", image=OWN_IMAGE)).steps() == []


def test_an_empty_inventory_on_an_empty_host_is_no_work() -> None:
    assert World().plan() == Plan((), ())


# Nothing to change


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"image": OWN_IMAGE},
        {"state": "stopped"},
        {"replicas": 3},
        {"source": "/srv/models/qwen/"},
        {"devices": {"gpus": 2}},
        {"devices": {"gpus": [3, 1]}},
        {"env": {"VLLM_USAGE_SOURCE": "own", "EMPTY": "", "LINES": "a\nb"}},
        {"args": {"limit-mm-per-prompt": {"image": 1}, "enforce-eager": None}},
    ],
)
def test_a_container_that_is_as_it_should_be_is_not_touched(changes: dict[str, Any]) -> None:
    assert converged(entry(**changes)).steps() == []


def test_the_order_of_models_in_the_inventory_means_nothing() -> None:
    world = converged(entry(name="a"), entry(name="b", devices={"gpus": 2}), entry(name="c"))
    world.inventory(entry(name="c"), entry(name="a"), entry(name="b", devices={"gpus": 2}))
    assert world.steps() == []


def test_what_the_image_brings_along_is_no_difference() -> None:
    world = converged(cpu("a", image=OWN_IMAGE))
    assert {mount.target for mount in world.engine.containers["vllm-a-1"].spec.mounts} == {
        "/data",
        CACHE_MOUNT,
        COMPILED_MOUNT,
    }
    assert world.steps() == []


def test_a_container_that_docker_is_restarting_is_left_to_it() -> None:
    world = converged(cpu("a"))
    world.engine.change("vllm-a-1", status="restarting")
    assert world.steps() == []


def test_what_args_and_adapters_name_on_the_host_is_mounted_read_only_once() -> None:
    args = {"chat-template": "/srv/qwen/chat.jinja", "tool-parser-plugin": "/srv/p.py", "tokenizer": "/srv/tokens/"}
    one = cpu("a", source="/srv/qwen", args=args, adapters={"tone": "/srv/adapters/tone", "sql": "own/sql"})
    mounts = [str(mount) for mount in spec(World(one)).mounts if mount.source.startswith("/")]
    folders = ("/srv/adapters/tone", "/srv/p.py", "/srv/qwen", "/srv/tokens")
    assert mounts == [f"{path}:{path}:ro" for path in folders]


def test_a_file_that_the_recipe_puts_into_the_image_is_not_mounted() -> None:
    recipes = {"own": {"base": "vllm", "files": {"/opt/own/chat.jinja": "x"}}}
    one = cpu("a", recipe="own", args={"chat-template": "/opt/own/chat.jinja"})
    assert not [mount for mount in spec(World(one, recipes=recipes)).mounts if mount.source.startswith("/")]
    mounts = spec(World({**one, "image": OWN_IMAGE}, recipes=recipes)).mounts
    assert "/opt/own/chat.jinja:/opt/own/chat.jinja:ro" in map(str, mounts)


def test_no_two_containers_or_configurations_share_compiled_code() -> None:
    args = {"dtype": "auto"}
    worlds = [
        World(cpu("a", replicas=2), cpu("a-1")),
        World(cpu("a", args=args)),
        World(cpu("a", image=OWN_IMAGE)),
        World(entry(name="a", devices={"gpus": [0]})),
        World(entry(name="a", devices={"gpus": [1]})),
    ]
    volumes = [compiled(world, one.spec.name) for world in worlds for one in world.desired()]
    assert len(set(volumes)) == len(volumes) == 7
    assert all(is_compiled(volume) for volume in volumes)


def test_an_image_rebuilt_under_the_same_name_gets_no_code_of_the_previous_one() -> None:
    world = converged(cpu("a"))
    before = set(world.engine.compiled)
    world.engine.images[STANDARD] = replace(REGISTRY[STANDARD], id="sha256:9")
    assert not world.converge().faults
    (volume,) = world.engine.compiled - before
    assert is_compiled(volume)
    assert list(world.engine.unused_compiled()) == list(before)
    assert world.steps() == []


def test_an_image_that_the_plan_does_not_know_yet_names_the_volume_too() -> None:
    world = World(cpu("a"))
    assert not world.engine.images
    world.converge()
    assert world.engine.compiled == {compiled(world)}
    assert world.steps() == []


def test_another_environment_keeps_the_compiled_code() -> None:
    assert compiled(World(cpu("a"))) == compiled(World(cpu("a", env={"A": "1"})))


def test_a_cache_elsewhere_or_none_needs_no_volume() -> None:
    for world in (World(cpu("a"), cache={"compiled": False}), World(cpu("a", env={"VLLM_CACHE_ROOT": "/tmp/vllm"}))):
        assert [mount.target for mount in spec(world).mounts] == [CACHE_MOUNT]
        assert spec(world).env.get("VLLM_CACHE_ROOT") == dict(world.fleet.models[0].env).get("VLLM_CACHE_ROOT")


def test_the_environment_names_the_mounted_folders_whatever_home_the_image_has() -> None:
    """vLLM-Omni, docker/Dockerfile.cuda after v0.30.0: HOME=/tmp, VLLM_CACHE_ROOT=/tmp/vllm."""
    for kind in ("chat", "tts"):
        one = spec(World(cpu("a", type=kind)))
        assert [mount.target for mount in one.mounts] == [one.env["HF_HOME"], "/var/tmp"]
        assert one.env["VLLM_CACHE_ROOT"] == "/var/tmp/vllm"


def test_a_limit_of_memory_is_the_inventorys_and_another_one_recreates_the_container() -> None:
    world = converged(cpu("a", memory="64g"))
    assert spec(world).memory == 64 << 30
    world.inventory(cpu("a"))
    assert world.steps()[0] == "remove vllm-a-1 (changed: memory)"


def test_a_container_of_an_earlier_version_is_recreated_once_and_check_mode_says_why() -> None:
    world = converged(cpu("a"))
    before = (Mount("fleet-hf-cache", "/root/.cache/huggingface"), Mount("fleet-compiled-x", "/root/.cache/vllm"))
    world.engine.change_spec("vllm-a-1", capabilities=("those of Docker",), new_privileges=True, mounts=before)
    plan = world.plan()
    assert str(plan.actions[0]) == "remove vllm-a-1 (changed: capabilities, new_privileges, mounts)"
    assert "vllm-a-1.capabilities: those of Docker\n" in plan.diff()["before"]
    assert "vllm-a-1.capabilities: DAC_OVERRIDE\n" in plan.diff()["after"]
    world.converge()
    assert world.steps() == []


def test_redirects_of_media_are_the_choice_of_the_inventory() -> None:
    env = {"VLLM_MEDIA_URL_ALLOW_REDIRECTS": 1}
    assert spec(World(cpu("a", env=env))).env["VLLM_MEDIA_URL_ALLOW_REDIRECTS"] == "1"


def test_other_settings_of_logs_recreate_no_container() -> None:
    world = converged(cpu("a"))
    world.inventory(cpu("a"), logs={"max_size": "1g", "driver": "local"})
    assert world.steps() == []
    assert spec(world).logs.max_size == "1g"


def test_a_model_of_the_host_reads_its_draft_model_offline_from_the_cache() -> None:
    draft = {"speculative-config": {"model": "own/draft"}}
    assert spec(World(cpu("a", source="/srv/a", args=draft))).env == {"HF_HUB_OFFLINE": "1", **PLACES}
    assert spec(World(cpu("a", source="/srv/a"))).env == {"HF_HUB_OFFLINE": "1", **PLACES}


# Differences that make a container again


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"image": OWN_IMAGE}, "image"),
        ({"args": {"max-model-len": 4096}}, "command"),
        ({"source": "Qwen/Qwen3-4B"}, "command"),
        ({"env": {"A": "1"}}, "env"),
        ({"env": {"PATH": "/own/bin"}}, "env"),
        ({"type": "vision"}, "labels"),
        ({"devices": {"gpus": [5]}}, "devices"),
        ({"shm_size": "1g"}, "shm_size"),
        ({"source": "/srv/qwen"}, "mounts"),
    ],
)
def test_a_difference_in_the_inventory_recreates_the_container(changes: dict[str, Any], part: str) -> None:
    world = converged(entry(name="a", devices={"gpus": [0]}))
    world.inventory(entry(**{"name": "a", "devices": {"gpus": [0]}, **changes}))
    steps = [step for step in world.steps() if not step.startswith("pull")]
    assert [step.split(" ")[0] for step in steps] == ["remove", "create", "start"]
    assert part in steps[0].partition("(changed: ")[2]


@pytest.mark.parametrize(
    ("drift", "part"),
    [
        ({"image": "sha256:older"}, "image"),
        ({"entrypoint": ("sh",)}, "entrypoint"),
        ({"command": ("other",)}, "command"),
        ({"env": {"PATH": "/usr/bin", "VLLM_USAGE_SOURCE": "production", "ADDED": "1"}}, "env"),
        ({"env": {}}, "env"),
        ({"labels": {"managed-by": "inference.fleet", "model-name": "a"}}, "labels"),
        ({"devices": ("1",)}, "devices"),
        ({"devices": ("all",)}, "devices"),
        ({"shm_size": 64 << 20}, "shm_size"),
        ({"ipc": "host"}, "ipc"),
        ({"mounts": ()}, "mounts"),
        ({"mounts": (Mount("elsewhere", CACHE_MOUNT),)}, "mounts"),
        ({"mounts": (Mount("fleet-hf-cache", CACHE_MOUNT),)}, "mounts"),
        ({"mounts": (Mount("fleet-hf-cache", CACHE_MOUNT, read_only=True), Mount("/etc", "/host"))}, "mounts"),
        ({"capabilities": ("those of Docker",)}, "capabilities"),
        ({"capabilities": ("DAC_OVERRIDE", "NET_RAW")}, "capabilities"),
        ({"new_privileges": True}, "new_privileges"),
        ({"memory": 1 << 30}, "memory"),
    ],
)
def test_a_container_that_somebody_changed_is_recreated(drift: dict[str, Any], part: str) -> None:
    world = converged(cpu("a"))
    world.engine.change_spec("vllm-a-1", **drift)
    assert world.steps() == [
        f"remove vllm-a-1 (changed: {part})",
        f"create vllm-a-1 (changed: {part})",
        "start vllm-a-1",
    ]


def test_a_container_is_recreated_when_its_image_is_another_under_the_same_name() -> None:
    world = converged(cpu("a"))
    world.engine.images[STANDARD] = replace(world.engine.images[STANDARD], id="sha256:newer")
    assert world.steps()[0] == "remove vllm-a-1 (changed: image, mounts)"


def test_a_container_whose_image_is_gone_is_recreated_from_a_pull() -> None:
    world = converged(cpu("a"))
    world.engine.images.clear()
    assert world.steps() == [
        f"pull {STANDARD}",
        "remove vllm-a-1 (changed: image)",
        "create vllm-a-1 (changed: image)",
        "start vllm-a-1",
    ]


def test_a_volume_of_the_image_does_not_excuse_a_missing_cache() -> None:
    """The image declares the cache's own folder: an anonymous volume there is not what was asked for."""
    world = converged(cpu("a", image=OWN_IMAGE))
    world.engine.change_spec("vllm-a-1", mounts=(Mount("0" * 64, CACHE_MOUNT), Mount("1" * 64, "/data")))
    assert world.steps()[0] == "remove vllm-a-1 (changed: mounts)"


def test_other_containers_keep_running_while_one_is_recreated() -> None:
    world = converged(cpu("a"), cpu("b"))
    before = world.ids()
    world.inventory(cpu("a", args={"dtype": "auto"}), cpu("b"))
    world.converge()
    assert world.ids()["vllm-b-1"] == before["vllm-b-1"]
    assert world.ids()["vllm-a-1"] != before["vllm-a-1"]


# Differences that are corrected in place


@pytest.mark.parametrize(
    ("networks", "steps"),
    [
        ((), ["connect vllm-a-1 (fleet-model-a)"]),
        (("fleet-model-a", "bridge"), ["disconnect vllm-a-1 (bridge)"]),
        (("bridge",), ["disconnect vllm-a-1 (bridge)", "connect vllm-a-1 (fleet-model-a)"]),
    ],
)
def test_networks_are_corrected_in_place(networks: tuple[str, ...], steps: list[str]) -> None:
    world = converged(cpu("a"))
    world.engine.change_spec("vllm-a-1", networks=networks)
    assert world.steps() == steps
    world.converge()
    assert world.engine.containers["vllm-a-1"].spec.networks == ("fleet-model-a",)


def test_a_container_of_a_previous_version_moves_to_the_network_of_its_model_and_is_not_recreated() -> None:
    world = converged(cpu("a"))
    world.engine.change_spec("vllm-a-1", networks=("llm-network",))
    assert world.steps() == ["disconnect vllm-a-1 (llm-network)", "connect vllm-a-1 (fleet-model-a)"]


def test_a_model_that_gets_a_way_out_gets_another_network_and_is_not_recreated() -> None:
    world = converged(cpu("a"))
    world.inventory(cpu("a", outbound=True))
    assert world.steps() == ["connect vllm-a-1 (fleet-out-a)"]
    world.converge()
    world.inventory(cpu("a"))
    assert world.steps() == ["disconnect vllm-a-1 (fleet-out-a)"]


def test_a_container_without_its_models_name_is_reconnected() -> None:
    world = converged(cpu("a"))
    world.engine.change_spec("vllm-a-1", aliases=())
    assert world.steps() == ["disconnect vllm-a-1 (fleet-model-a)", "connect vllm-a-1 (fleet-model-a)"]
    world.converge()
    assert world.engine.containers["vllm-a-1"].spec.aliases == ("a.model",)
    assert world.steps() == []


def test_the_restart_policy_is_corrected_in_place() -> None:
    world = converged(cpu("a"))
    world.engine.change_spec("vllm-a-1", restart="always")
    assert world.steps() == ["update vllm-a-1 (restart policy)"]
    world.converge()
    assert world.engine.containers["vllm-a-1"].spec.restart == "on-failure"


def test_the_weight_that_a_killed_run_left_is_corrected_in_place() -> None:
    world = converged(cpu("a"))
    world.engine.set_weight("vllm-a-1", STARTING_WEIGHT)
    assert world.steps() == ["update vllm-a-1 (CPU weight)"]
    world.converge()
    assert world.engine.containers["vllm-a-1"].spec.weight == WEIGHT
    assert world.steps() == []


def test_networks_need_no_correction_of_their_own_where_the_container_is_recreated() -> None:
    world = converged(cpu("a"))
    world.engine.change_spec("vllm-a-1", networks=(), restart="no", ipc="host")
    assert [step.split(" ")[0] for step in world.steps()] == ["remove", "create", "start"]


# States


@pytest.mark.parametrize(
    ("status", "steps"),
    [
        ("running", []),
        ("restarting", []),
        ("paused", ["unpause vllm-a-1 (was paused)"]),
        ("exited", ["start vllm-a-1 (was exited)"]),
        ("created", ["start vllm-a-1 (was created)"]),
    ],
)
def test_brings_a_container_that_should_run_back(status: str, steps: list[str]) -> None:
    world = converged(cpu("a"))
    world.engine.change("vllm-a-1", status=status)
    assert world.steps() == steps


@pytest.mark.parametrize(
    ("status", "steps"),
    [
        ("running", ["stop vllm-a-1 (state: stopped)"]),
        ("restarting", ["stop vllm-a-1 (state: stopped)"]),
        ("paused", ["stop vllm-a-1 (state: stopped)"]),
        ("exited", []),
        ("created", []),
    ],
)
def test_stops_a_container_that_should_not_run_and_keeps_it(status: str, steps: list[str]) -> None:
    world = converged(cpu("a"))
    world.inventory(cpu("a", state="stopped"))
    world.engine.change("vllm-a-1", status=status)
    assert world.steps() == steps


def test_waits_for_all_that_should_run_and_for_nothing_else() -> None:
    world = converged(cpu("a", replicas=2), cpu("b", state="stopped"))
    assert [one.spec.name for one in world.plan().waits] == ["vllm-a-1", "vllm-a-2"]


# Taking away


def test_fewer_replicas_remove_the_last_ones() -> None:
    world = converged(cpu("a", replicas=3))
    world.inventory(cpu("a", replicas=1))
    assert world.steps(prune=False) == [
        "remove vllm-a-2 (not in the inventory)",
        "remove vllm-a-3 (not in the inventory)",
    ]


def test_an_absent_model_loses_its_containers() -> None:
    world = converged(cpu("a"), cpu("b"))
    world.inventory(cpu("a", state="absent"), cpu("b"))
    assert world.steps(prune=False) == ["remove vllm-a-1 (not in the inventory)"]


@pytest.mark.parametrize(("prune", "steps"), [(False, []), (True, ["remove vllm-a-1 (not in the inventory)"])])
def test_only_pruning_removes_models_that_the_inventory_does_not_have(prune: bool, steps: list[str]) -> None:
    world = converged(cpu("a"), cpu("b"))
    world.inventory(cpu("b"))
    assert world.steps(prune=prune) == steps


def test_a_run_for_one_model_leaves_the_others_alone_whatever_they_lack() -> None:
    world = converged(cpu("a"), cpu("b", replicas=2), cpu("gone"))
    world.engine.change("vllm-b-1", status="exited")
    world.inventory(cpu("a", args={"dtype": "auto"}), cpu("b"))
    assert [step.split(" ")[1] for step in world.steps(prune=False, names=["a"])] == ["vllm-a-1"] * 3


def test_a_run_for_no_model_does_nothing() -> None:
    world = converged(cpu("a"), cpu("b"))
    assert world.steps(prune=False, names=[]) == []


def test_a_run_for_a_model_that_is_absent_removes_that_one_only() -> None:
    world = converged(cpu("a"), cpu("b"))
    world.inventory(cpu("a", state="absent"), cpu("b", args={"dtype": "auto"}))
    assert world.steps(prune=False, names=["a"]) == ["remove vllm-a-1 (not in the inventory)"]


# Containers of others


def test_a_name_that_others_have_stops_everything_before_it_begins() -> None:
    world = World(cpu("a", replicas=2), cpu("b"), foreign=["vllm-a-2", "vllm-b-1", "somebody"])
    assert faults(world.plan) == [
        f"container {name}: the name is taken by a container without the label managed-by=inference.fleet; "
        f"remove or rename it (docker rename {name} NEW), it was left untouched"
        for name in ("vllm-a-2", "vllm-b-1")
    ]


def test_pruning_leaves_containers_of_others_alone() -> None:
    world = World(foreign=["vllm-old-1", "postgres"])
    assert world.steps() == []


# The order of steps


def test_devices_are_given_back_before_they_are_taken() -> None:
    world = converged(entry(name="a", devices={"gpus": [0]}))
    world.inventory(entry(name="b", devices={"gpus": [0]}))
    assert [step.split(" (")[0] for step in world.steps()] == ["remove vllm-a-1", "create vllm-b-1", "start vllm-b-1"]


def test_a_stage_gives_each_container_its_steps_in_order() -> None:
    world = converged(cpu("a"), cpu("b"))
    world.engine.change_spec("vllm-a-1", networks=("bridge",), restart="no")
    world.engine.change("vllm-b-1", status="exited")
    chains = world.plan().stage(STAGES[2])
    assert {name: [one.verb for one in actions] for name, actions in chains.items()} == {
        "vllm-a-1": ["disconnect", "connect", "update"],
        "vllm-b-1": ["start"],
    }
    assert world.plan().stage(STAGES[0]) == {}


# Diff mode


def test_the_diff_shows_what_comes_and_goes() -> None:
    world = converged(cpu("a"), cpu("b"), cpu("c"))
    world.engine.change("vllm-c-1", status="paused")
    world.inventory(cpu("b", state="stopped"), cpu("c"), cpu("d", image=OWN_IMAGE))
    assert world.plan().diff() == {
        "before": "vllm-a-1: present\nvllm-b-1: running\n",
        "after": f"image {OWN_IMAGE}: pulled\nvllm-d-1: created from {OWN_IMAGE}\n"
        "vllm-d-1: running\nvllm-c-1: running\n",
    }


def test_the_diff_shows_each_difference_of_a_container_before_and_after() -> None:
    one = {"name": "a", "source": "/srv/a"}
    cache = {"compiled": False}
    world = converged(entry(**one, devices={"gpus": [0]}, env={"A": "1"}, shm_size="1g"), cache=cache)
    world.inventory(entry(**one, devices={"gpus": [1]}, env={"A": "2", "B": "3"}, shm_size="2g"), cache=cache)
    diff = world.plan().diff()
    places = {**PLACES, "HF_HUB_OFFLINE": "1", "PATH": "/usr/bin", "VLLM_USAGE_SOURCE": "production"}
    del places["VLLM_CACHE_ROOT"]
    inherited = "".join(f"vllm-a-1.env.{name}: {value}\n" for name, value in sorted(places.items()))
    assert diff["before"] == f"vllm-a-1.env.A: 1\n{inherited}vllm-a-1.devices: GPU-0\nvllm-a-1.shm_size: {1 << 30}\n"
    assert diff["after"] == (
        f"vllm-a-1.env.A: 2\nvllm-a-1.env.B: 3\n{inherited}vllm-a-1.devices: GPU-1\nvllm-a-1.shm_size: {2 << 30}\n"
        f"vllm-a-1: created from {STANDARD}\nvllm-a-1: running\n"
    )


def test_the_diff_shows_corrections_in_place_once() -> None:
    world = converged(cpu("a"))
    world.engine.change_spec("vllm-a-1", networks=("bridge", "host"), restart="no")
    assert world.plan().diff() == {
        "before": "vllm-a-1.networks: bridge host\nvllm-a-1.restart: no\n",
        "after": "vllm-a-1.networks: fleet-model-a\nvllm-a-1.restart: on-failure\n",
    }


def test_the_diff_shows_mounts_as_docker_writes_them() -> None:
    world = converged(cpu("a"), cache={"compiled": False})
    world.inventory(cpu("a"), cache={"path": "/srv/hf", "compiled": False})
    diff = world.plan().diff()
    assert "vllm-a-1.mounts: fleet-hf-cache:/var/cache/inference-fleet:ro\n" in diff["before"]
    assert "vllm-a-1.mounts: /srv/hf:/var/cache/inference-fleet:ro\n" in diff["after"]


def test_the_diff_shows_no_secret_neither_the_old_nor_the_new() -> None:
    old, new, token = "hf_old0123456789", "hf_new0123456789", "hf_hub0123456789"
    cache = {"downloads": "at_start"}
    world = converged(cpu("a", env={"API_TOKEN": old}), cache=cache)
    world.inventory(cpu("a", env={"API_TOKEN": new}), cache=cache, hf_token=token)
    diff = world.plan().diff()
    assert "vllm-a-1.env.API_TOKEN: (secret)\n" in diff["before"]
    assert "vllm-a-1.env.API_TOKEN: (secret)\n" in diff["after"]
    assert "vllm-a-1.env.HF_TOKEN: (secret)\n" in diff["after"]
    everything = str(diff) + "".join(map(str, world.plan().actions))
    assert not [secret for secret in (old, new, token) if secret in everything]


def test_the_diff_of_no_work_is_empty() -> None:
    assert converged(cpu("a")).plan().diff() == {"before": "", "after": ""}


def test_a_step_says_what_and_why() -> None:
    assert str(Action("start", "vllm-a-1")) == "start vllm-a-1"
    assert str(Action("start", "vllm-a-1", detail="was exited")) == "start vllm-a-1 (was exited)"


def test_a_container_without_a_models_label_is_of_no_model() -> None:
    one = converged(cpu("a")).engine.containers["vllm-a-1"]
    assert one.model == "a"
    assert replace(one, spec=replace(one.spec, labels={})).model == ""


# From any state to any other


DEVICES = st.sampled_from([{"cpu": True}, {"gpus": 1}, {"gpus": 2}])
ENTRIES = st.builds(
    lambda name, **changes: entry(name=name, **changes),
    st.sampled_from(["a", "b", "a-1", "c"]),
    replicas=st.integers(1, 3),
    state=st.sampled_from(["running", "running", "stopped", "absent"]),
    devices=DEVICES,
    image=st.sampled_from([None, OWN_IMAGE]),
    source=st.sampled_from(["Qwen/Qwen3-8B", "/srv/qwen/"]),
    env=st.dictionaries(st.sampled_from(["A", "PATH"]), st.sampled_from(["1", "2"]), max_size=1),
)
INVENTORIES = st.lists(ENTRIES, max_size=4, unique_by=lambda one: one["name"])
# What people and reboots do to a container.
DRIFT = st.one_of(
    st.fixed_dictionaries({"status": st.sampled_from(["exited", "paused", "created", "restarting"])}),
    st.fixed_dictionaries(
        {},
        optional={
            "networks": st.sampled_from([(), ("bridge",), ("llm-network",), ("fleet-model-a", "bridge")]),
            "restart": st.sampled_from(["no", "always"]),
            "ipc": st.just("host"),
            "devices": st.sampled_from([("0",), ("0", "1"), ("all",), ("MIG-c6d4f1ef",)]),
            "mounts": st.just((Mount("/etc", "/etc"),)),
            "env": st.just({"A": "1"}),
        },
    ),
    st.just({"removed": True}),
)


@st.composite
def worlds(draw: Any) -> World:
    """A host that was converged to another inventory, and changed afterwards."""
    world = converged(*draw(INVENTORIES), foreign=["postgres", "caddy"])
    for name in list(world.engine.containers):
        drift = draw(st.none() | DRIFT) or {}
        if "removed" in drift:
            del world.engine.containers[name]
        elif "status" in drift:
            world.engine.change(name, **drift)
        else:
            world.engine.change_spec(name, **drift)
    if draw(st.booleans()):
        world.engine.images.clear()
    world.inventory(*draw(INVENTORIES))
    return world


@given(worlds())
def test_a_plan_reaches_the_inventory_from_any_state_and_the_next_is_empty(world: World) -> None:
    outcome = world.converge()
    assert not {fault for fault in outcome.faults.values() if "restarting" not in fault}
    containers = world.engine.containers
    assert set(containers) == {name for model in world.fleet.models for name in model.containers}
    for one in world.desired():
        assert (containers[one.spec.name].status in ("running", "restarting")) is one.running
    assert world.steps() == []


@given(worlds())
def test_a_run_carries_out_exactly_what_check_mode_shows(world: World) -> None:
    shown = world.plan()
    assert world.plan() == shown
    assert not world.engine.journal
    outcome = world.converge()
    assert sorted(map(str, outcome.done)) == sorted(map(str, shown.actions))
    assert sorted(world.engine.journal) == sorted(f"{one.verb} {one.name}" for one in shown.actions)


@given(worlds(), st.sampled_from(["a", "b", "a-1", "c"]))
def test_a_run_for_one_model_never_touches_another(world: World, name: str) -> None:
    if name not in [model.name for model in world.fleet.models]:
        with pytest.raises(FleetError):
            world.plan(prune=False, names=[name])
        return
    own = {one for one, container in world.engine.containers.items() if container.model == name}
    others = {one: container for one, container in world.engine.containers.items() if one not in own}
    world.converge(prune=False, names=[name])
    assert {one: world.engine.containers[one] for one in others} == others


@given(worlds())
def test_a_container_is_recreated_only_where_it_differs(world: World) -> None:
    before = dict(world.engine.containers)
    plan = world.plan()
    removed = {action.name for action in plan.actions if action.verb == "remove"}
    world.converge()
    for name, container in before.items():
        kept = world.engine.containers.get(name)
        assert (kept is not None and kept.id == container.id) is (name not in removed)


@given(worlds(), st.integers(0, 20))
def test_an_interrupted_run_is_finished_by_the_next(world: World, steps: int) -> None:
    """Interrupted after any number of steps: completed steps stay, the rest is planned again."""
    actions = world.plan().actions
    world.engine.fails = {(action.verb, action.name): "cut off" for action in actions[steps:]}
    assert bool(world.converge().done) is bool(actions[:steps])
    world.engine.fails = {}
    world.converge()
    assert world.steps() == []


def test_planning_is_pure() -> None:
    world = converged(cpu("a"))
    world.inventory(cpu("a", ready_timeout=5), cpu("b"))
    observed = world.engine.observe([STANDARD])
    before = repr(observed)
    assert plan_containers(world.desired(), observed) == plan_containers(world.desired(), observed)
    assert repr(observed) == before


def test_a_resolved_spec_is_what_was_asked_for_on_top_of_the_image() -> None:
    asked = spec(World(cpu("a", source="/srv/a", env={"PATH": "/own"})))
    image = ImageDefaults("sha256:9", {"PATH": "/usr/bin", "B": "2"}, {"vendor": "x", "model-name": "y"})
    resolved = asked.resolved(image)
    assert (resolved.image, resolved.env) == ("sha256:9", {"PATH": "/own", "B": "2", "HF_HUB_OFFLINE": "1", **PLACES})
    assert resolved.labels == {**asked.labels, "vendor": "x"}
    assert resolved.mounts == asked.mounts_with("sha256:9")
    assert replace(resolved, image=asked.image, env=asked.env, labels=asked.labels, mounts=asked.mounts) == asked
