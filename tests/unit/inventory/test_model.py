"""One entry of fleet_models: valid values, their effect, and the messages for faults."""

from __future__ import annotations

import json
from dataclasses import fields
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import (
    SERVICES,
    STATES,
    TYPES,
    Devices,
    Model,
)
from ansible_collections.inference.fleet.plugins.module_utils.system.faults import FleetError
from ansible_collections.inference.fleet.tests.unit.samples import ANYTHING, entry, faults, model, model_faults
from hypothesis import given
from hypothesis import strategies as st

KEYS = [field.name for field in fields(Model) if field.compare]

# Defaults


def test_three_keys_are_all_a_model_needs() -> None:
    assert model() == Model(
        name="qwen3-8b",
        type="chat",
        source="Qwen/Qwen3-8B",
        devices=Devices(count=1),
        replicas=1,
        state="running",
        args=(),
        env=(),
        image=None,
        recipe=None,
        open=False,
        direct=False,
        ready_timeout=1800,
        shm_size=8 << 30,
    )


def test_null_means_the_default() -> None:
    others = {*KEYS} - {"name", "type", "source"}
    assert model(**dict.fromkeys(others)) == model()


@pytest.mark.parametrize("missing", ["name", "type", "source"])
def test_the_three_keys_cannot_be_left_out(missing: str) -> None:
    (fault,) = model_faults(**{missing: None})
    assert fault.startswith(f"{missing}: missing; expected ")


# Single keys: faults and their messages

DOTS = (".", "..", "org/..", "../org", "org/.", "./x", "a..b/c", "a--b/c", "-a/b", "a/b-", "/srv/a:b")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("name", "Qwen3", "name: expected a DNS label (a-z, 0-9 and - inside), got 'Qwen3'"),
        ("name", "qwen_3", "name: expected a DNS label (a-z, 0-9 and - inside), got 'qwen_3'"),
        ("name", "-qwen", "name: expected a DNS label (a-z, 0-9 and - inside), got '-qwen'"),
        ("name", "qwen-", "name: expected a DNS label (a-z, 0-9 and - inside), got 'qwen-'"),
        ("name", "qwen.3", "name: expected a DNS label (a-z, 0-9 and - inside), got 'qwen.3'"),
        ("name", "qwen3\n", r"name: expected a DNS label (a-z, 0-9 and - inside), got 'qwen3\n'"),
        ("name", "", "name: expected a DNS label (a-z, 0-9 and - inside), got ''"),
        ("name", 3, "name: expected a DNS label (a-z, 0-9 and - inside), got 3"),
        (
            "type",
            "chatt",
            "type: expected one of chat, vision, embedding, rerank, stt, tts, image, got 'chatt'; did you mean 'chat'?",
        ),
        ("type", "llm", "type: expected one of chat, vision, embedding, rerank, stt, tts, image, got 'llm'"),
        ("type", 1, "type: expected one of chat, vision, embedding, rerank, stt, tts, image, got 1"),
        (
            "source",
            "srv/models/qwen/",
            "source: expected a hub repository such as Qwen/Qwen3-8B, or an absolute path on the host without a colon, "
            "got 'srv/models/qwen/'",
        ),
        (
            "source",
            "https://huggingface.co/Qwen/Qwen3-8B",
            "source: expected a hub repository such as Qwen/Qwen3-8B, or an absolute path on the host without a colon, "
            "got 'https://huggingface.co/Qwen/Qwen3-8B'",
        ),
        *(
            (
                "source",
                source,
                "source: expected a hub repository such as Qwen/Qwen3-8B, or an absolute path on the host without a "
                f"colon, got '{source}'",
            )
            for source in (
                "own/model-GGUF:Q4_K_M",
                "s3://bucket/model",
                "gs://bucket/model",
                "/srv/model.gguf:x",
                *DOTS,
            )
        ),
        ("replicas", 0, "replicas: expected a whole number of at least 1, got 0"),
        ("replicas", -1, "replicas: expected a whole number of at least 1, got -1"),
        ("replicas", "two", "replicas: expected a whole number of at least 1, got 'two'"),
        (
            "replicas",
            "3",
            "replicas: expected a whole number of at least 1, got '3', which is text: leave the quotes out",
        ),
        ("direct", "true", "direct: expected true or false, got 'true', which is text: leave the quotes out"),
        ("replicas", 1.5, "replicas: expected a whole number of at least 1, got 1.5"),
        ("replicas", True, "replicas: expected a whole number of at least 1, got True"),
        ("state", "present", "state: expected one of running, stopped, absent, got 'present'"),
        (
            "state",
            "stoped",
            "state: expected one of running, stopped, absent, got 'stoped'; did you mean 'stopped'?",
        ),
        ("open", "yes please", "open: expected true or false, got 'yes please'"),
        ("direct", 1, "direct: expected true or false, got 1"),
        ("ready_timeout", 0, "ready_timeout: expected a whole number of at least 1, got 0"),
        ("ready_timeout", -60, "ready_timeout: expected a whole number of at least 1, got -60"),
        ("replicas", 65, "replicas: expected a whole number of at least 1 and at most 64, got 65"),
        ("replicas", 10**30, f"replicas: expected a whole number of at least 1 and at most 64, got {10**30}"),
        (
            "ready_timeout",
            10**9,
            "ready_timeout: expected a whole number of at least 1 and at most 604800, got 1000000000",
        ),
        ("devices", {"gpus": 65}, "devices.gpus: expected at most 64 GPUs for a replica, got 65"),
        ("shm_size", "8", "shm_size: expected a size such as 8g or 512m, got '8'"),
        ("shm_size", "8GB", "shm_size: expected a size such as 8g or 512m, got '8GB'"),
        ("shm_size", "-8g", "shm_size: expected a size such as 8g or 512m, got '-8g'"),
        ("shm_size", "9" * 5000 + "g", f"shm_size: expected a size such as 8g or 512m, got '{'9' * 76}..."),
        ("memory", "64", "memory: expected a size such as 64g, got '64'"),
        ("memory", 64, "memory: expected a size such as 64g, got 64"),
        ("memory", "1k", "memory: expected at least 256m, got 1k"),
        ("memory", "255m", "memory: expected at least 256m, got 255m"),
        (
            "image",
            "vllm/vllm-openai",
            "image: expected an image reference with a tag or digest, such as vllm/vllm-openai:v0.31.0, "
            "got 'vllm/vllm-openai'",
        ),
        ("recipe", ["whisper"], "recipe: expected a line of text, got a list"),
        ("soruce", "x/y", "soruce: unknown key; did you mean 'source'?"),
        ("gpus", 2, "gpus: unknown key"),
        ("ready_timout", 60, "ready_timout: unknown key; did you mean 'ready_timeout'?"),
    ],
)
def test_refuses_and_says_what_would_be_right(key: str, value: Any, message: str) -> None:
    assert model_faults(**{key: value}) == [message]


@pytest.mark.parametrize("service", SERVICES)
def test_refuses_the_name_of_a_service(service: str) -> None:
    assert model_faults(name=service) == [f"name: '{service}' is the name of a service of the fleet; choose another"]


def test_refuses_a_name_too_long_for_its_containers_to_be_found_by() -> None:
    assert len(model(name="x" * 56).containers[0]) == 63
    assert model_faults(name="x" * 57) == [
        f"name: '{'x' * 57}' is 1 characters too long: the container's name vllm-{'x' * 57}-1 "
        "is a DNS label of at most 63"
    ]


def test_the_replicas_count_into_the_length_of_the_name() -> None:
    assert model(name="x" * 56, replicas=9).replicas == 9
    assert len(model_faults(name="x" * 56, replicas=10)) == 1


def test_refuses_an_entry_that_is_no_mapping() -> None:
    assert faults(Model.parse, "qwen3-8b", "fleet_models[3]") == ["fleet_models[3]: expected a mapping, got 'qwen3-8b'"]


@pytest.mark.parametrize(
    "source", ["Qwen/Qwen3-8B", "gpt2", "BAAI/bge-m3", "org/a.b_c-d", "/srv/models/qwen", "/srv/a b"]
)
def test_takes_hub_repositories_and_absolute_paths(source: str) -> None:
    assert model(source=source).source == source


def test_all_faults_of_an_entry_are_told_at_once() -> None:
    assert model_faults(name="Qwen", type="chatt", replicas=0, args={"port": 1}, env={"A-B": "x"}, xyz=1) == [
        "name: expected a DNS label (a-z, 0-9 and - inside), got 'Qwen'",
        "type: expected one of chat, vision, embedding, rerank, stt, tts, image, got 'chatt'; did you mean 'chat'?",
        "replicas: expected a whole number of at least 1, got 0",
        "args.port: set by the collection; the container is reached inside the Docker network",
        "env.A-B: expected the name of an environment variable, such as VLLM_LOGGING_LEVEL",
        "xyz: unknown key",
    ]


# Devices


@pytest.mark.parametrize(
    ("given_devices", "devices", "text"),
    [
        ({"gpus": 2}, Devices(count=2), "2 gpu"),
        ({"gpus": [0, 1]}, Devices(pinned=(0, 1)), "gpu 0,1"),
        ({"gpus": [3]}, Devices(pinned=(3,)), "gpu 3"),
        ({"mig": "3g.40gb"}, Devices(mig="3g.40gb"), "mig 3g.40gb"),
        ({"mig": "1g.6gb+me"}, Devices(mig="1g.6gb+me"), "mig 1g.6gb+me"),
        ({"cpu": True}, Devices(cpu=True), "cpu"),
        ({"cpu": True, "gpus": None}, Devices(cpu=True), "cpu"),
        ({"cpu": False, "gpus": 1}, Devices(count=1), "1 gpu"),
    ],
)
def test_reads_devices(given_devices: dict[str, Any], devices: Devices, text: str) -> None:
    assert model(devices=given_devices).devices == devices
    assert str(devices) == text


_ONE_OF_FOUR = "devices: expected exactly one of {gpus: N}, {gpus: [i, ...]}, {mig: PROFILE}, {cpu: true}, got "
_GPUS = "devices.gpus: expected a number of GPUs of at least 1 or a list of GPU indices, got "


@pytest.mark.parametrize(
    ("devices", "messages"),
    [
        (2, ["devices: expected a mapping, got 2"]),
        ([0, 1], ["devices: expected a mapping, got [0, 1]"]),
        ({}, [_ONE_OF_FOUR + "none of them"]),
        ({"cpu": False}, [_ONE_OF_FOUR + "none of them"]),
        ({"gpus": 1, "cpu": True}, [_ONE_OF_FOUR + "gpus and cpu"]),
        ({"gpus": [0], "mig": "3g.40gb"}, [_ONE_OF_FOUR + "gpus and mig"]),
        ({"gpu": 1}, [_ONE_OF_FOUR + "none of them", "devices.gpu: unknown key; did you mean 'gpus'?"]),
        ({"gpus": 0}, [_GPUS + "0"]),
        ({"gpus": -1}, [_GPUS + "-1"]),
        ({"gpus": "all"}, [_GPUS + "'all'"]),
        ({"gpus": True}, [_GPUS + "True"]),
        ({"gpus": []}, [_GPUS + "[]"]),
        ({"gpus": [0, -1]}, ["devices.gpus[1]: expected a GPU index, a whole number of at least 0, got -1"]),
        (
            {"gpus": ["0"]},
            [
                "devices.gpus[0]: expected a GPU index, a whole number of at least 0, got '0', "
                "which is text: leave the quotes out"
            ],
        ),
        ({"gpus": [0, 1, 0, 1]}, ["devices.gpus: GPU 0 is named twice", "devices.gpus: GPU 1 is named twice"]),
        ({"mig": 3}, ["devices.mig: expected a profile such as 3g.40gb or 1c.3g.40gb, got 3"]),
        ({"cpu": "yes"}, ["devices.cpu: expected true or false, got 'yes', which is text: leave the quotes out"]),
        ({"gpus": "2"}, [_GPUS + "'2', which is text: leave the quotes out"]),
    ],
)
def test_refuses_devices_and_says_what_would_be_right(devices: Any, messages: list[str]) -> None:
    assert model_faults(devices=devices) == messages


def test_replicas_cannot_share_pinned_gpus() -> None:
    assert model_faults(devices={"gpus": [0, 1]}, replicas=2) == [
        "devices.gpus: 2 replicas cannot share the pinned GPUs [0, 1]; give {gpus: 2} so that each gets its own"
    ]


@pytest.mark.parametrize(("kind", "omni"), [("tts", True), ("image", True), ("stt", False), ("chat", False)])
def test_speech_and_images_are_served_by_omni(kind: str, omni: bool) -> None:
    assert ("--omni" in model(type=kind).command) is omni


@pytest.mark.parametrize(
    ("kind", "args", "timeouts"),
    [
        ("tts", {}, {"stage-init-timeout": "2400", "init-timeout": "2400"}),
        ("image", {}, {"stage-init-timeout": "2400", "init-timeout": "2400"}),
        ("tts", {"init_timeout": 900}, {"stage-init-timeout": "2400", "init-timeout": "900"}),
        ("tts", {"stage-init-timeout": 60, "init-timeout": 90}, {"stage-init-timeout": "60", "init-timeout": "90"}),
        ("chat", {}, {}),
        ("stt", {}, {}),
    ],
)
def test_vllm_omni_waits_for_its_stages_as_long_as_the_model_may_take(
    kind: str, args: dict[str, Any], timeouts: dict[str, str]
) -> None:
    command = model(type=kind, args=args, ready_timeout=2400).command
    words = [word for word in command if word.endswith("init-timeout")]
    assert {word[2:]: command[command.index(word) + 1] for word in words} == timeouts
    assert len(words) == len(timeouts)


# Derived values


def test_has_a_container_for_each_replica_from_1() -> None:
    assert model(replicas=3).containers == ("vllm-qwen3-8b-1", "vllm-qwen3-8b-2", "vllm-qwen3-8b-3")


@pytest.mark.parametrize(("state", "containers"), [("running", 1), ("stopped", 1), ("absent", 0)])
def test_a_stopped_model_keeps_its_container_an_absent_one_has_none(state: str, containers: int) -> None:
    assert len(model(state=state).containers) == containers


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("state", STATES)
def test_litellm_offers_running_models_that_it_can_route(kind: str, state: str) -> None:
    assert model(type=kind, state=state).in_gateway is (state == "running")


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize("state", STATES)
def test_clients_pass_litellm_by_where_the_inventory_says_so_and_where_there_is_no_other_way_in(
    kind: str, direct: bool, state: str
) -> None:
    passes = state == "running" and (direct or kind in ("stt", "tts", "image"))
    assert model(type=kind, direct=direct, state=state).has_direct_route is passes


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("direct", [True, False])
def test_every_running_model_has_a_way_in(kind: str, direct: bool) -> None:
    one = model(type=kind, direct=direct)
    assert one.in_gateway or one.has_direct_route


@pytest.mark.parametrize("kind", TYPES)
def test_what_litellm_offers_may_be_open(kind: str) -> None:
    assert model(type=kind, open=True).open


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"price": {"input": -1}}, "price.input: expected a number of USD of at least 0, got -1"),
        ({"price": {"input": "0.15"}}, "price.input: expected a number of USD of at least 0, got '0.15'"),
        ({"price": {"second": 1}}, "price: second: not counted for the type chat, whose price has input and output"),
        ({"price": {"inputs": 1}}, "price.inputs: unknown key; did you mean 'input'?"),
        ({"timeout": 0}, "timeout: expected a whole number of at least 1, got 0"),
    ],
)
def test_a_price_or_a_timeout_that_cannot_be_is_told(changes: dict[str, Any], fault: str) -> None:
    (found,) = model_faults(**changes)
    assert found.startswith(fault)


def test_a_model_of_an_unknown_type_is_not_also_told_that_it_cannot_be_open() -> None:
    (fault,) = model_faults(type="llm", open=True)
    assert fault.startswith("type: ")


@pytest.mark.parametrize(
    ("source", "path"),
    [("Qwen/Qwen3-8B", None), ("/srv/models/qwen", "/srv/models/qwen"), ("/srv//models/./qwen/", "/srv/models/qwen")],
)
def test_knows_the_folder_of_its_weights(source: str, path: str | None) -> None:
    """The form that Docker reports: otherwise every run would recreate the container."""
    assert model(source=source).local_path == path


@pytest.mark.parametrize(("size", "number"), [("8g", 8 * 1024**3), ("512m", 512 * 1024**2), ("64k", 64 * 1024)])
def test_reads_sizes_as_docker_does(size: str, number: int) -> None:
    assert model(shm_size=size).shm_size == number


def test_a_model_has_no_limit_of_memory_unless_it_is_given() -> None:
    assert model().memory is None
    assert model(memory="64g").memory == 64 << 30


# Anything at all


@given(st.dictionaries(st.sampled_from(KEYS), ANYTHING, max_size=3))
def test_an_entry_of_anything_is_a_valid_model_or_a_fleet_error(changes: dict[str, Any]) -> None:
    try:
        parsed = Model.parse(entry(**changes), "fleet_models[0]")
    except FleetError as error:
        assert all(fault.startswith("fleet_models[0]") for fault in error.faults)
        assert all(fault.isprintable() for fault in error.faults)
    else:
        assert all(isinstance(word, str) for word in parsed.command)


NAMES = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True).filter(lambda name: name not in SERVICES)


@given(st.dictionaries(NAMES, st.integers(1, 12), min_size=2, max_size=6))
def test_no_two_models_ever_have_a_container_of_the_same_name(replicas: dict[str, int]) -> None:
    containers = [one for name, count in replicas.items() for one in model(name=name, replicas=count).containers]
    assert len(set(containers)) == len(containers) == sum(replicas.values())
    assert all(len(name) <= 63 for name in containers)


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9-]{0,8}", fullmatch=True), ANYTHING, max_size=4))
def test_a_model_can_be_written_as_json(args: dict[str, Any]) -> None:
    try:
        parsed = model(args=args)
    except FleetError:
        return
    assert json.dumps(parsed.command)
