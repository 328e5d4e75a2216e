"""A model's `args`: vLLM's own spellings, their words, and the parallel sizes."""

from __future__ import annotations

import datetime
import json
import shlex
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory import arguments
from ansible_collections.inference.fleet.plugins.module_utils.inventory.arguments import RESERVED, options
from ansible_collections.inference.fleet.plugins.module_utils.inventory.model import Model
from ansible_collections.inference.fleet.tests.unit.samples import ANYTHING, model, model_faults
from ansible_collections.inference.fleet.tests.vllm_options.parsed import (
    VERSIONS,
    Refused,
    parsed,
    recipes,
    table,
)
from hypothesis import given
from hypothesis import strategies as st

BASE = ["own/model", "--served-model-name", "qwen3-8b", "--port", "8000"]
NO_DOMAIN = ["--allowed-media-domains", "none/"]
RECIPES = recipes()


def words(args: Any, **changes: Any) -> list[str]:
    """The words of the command line that come from the arguments of a model without a family."""
    command = list(model(**{"source": BASE[0], "args": args, **changes}).command)
    assert command[: len(BASE)] == BASE
    rest = command[len(BASE) :]
    return rest[len(NO_DOMAIN) :] if rest[: len(NO_DOMAIN)] == NO_DOMAIN else rest


def own_words(recipe: dict[str, Any]) -> list[str]:
    return words(recipe["args"], devices=recipe.get("devices", {"gpus": 1}))


# The words


@pytest.mark.parametrize("kind", ["chat", "vision", "embedding", "stt", "tts", "image"])
@pytest.mark.parametrize("args", [{}, {"allowed-media-domains": []}, {"max-model-len": 8}])
def test_a_model_fetches_no_url_unless_the_inventory_allows_its_domain(kind: str, args: dict[str, Any]) -> None:
    assert list(model(type=kind, args=args).command)[len(BASE) :][:2] == NO_DOMAIN


def test_the_inventory_allows_domains_of_urls() -> None:
    domains = ["media.example.com", "cdn.example.com"]
    command = list(model(source=BASE[0], args={"allowed_media_domains": domains}).command)
    assert command[len(BASE) :] == ["--allowed-media-domains", *domains]


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        ({"max-model-len": 8192}, ["--max-model-len", "8192"]),
        ({"gpu-memory-utilization": 0.9}, ["--gpu-memory-utilization", "0.9"]),
        ({"dtype": "bfloat16"}, ["--dtype", "bfloat16"]),
        ({"enforce-eager": True}, ["--enforce-eager"]),
        ({"enforce-eager": None}, ["--enforce-eager"]),
        ({"enable-prefix-caching": False}, ["--no-enable-prefix-caching"]),
        ({"no-enable-prefix-caching": True}, ["--no-enable-prefix-caching"]),
        ({"no-enable-prefix-caching": False}, []),
        ({"headless": False}, []),
        ({"b": 1, "a": 2}, ["--a", "2", "--b", "1"]),
        ({"cudagraph-capture-sizes": [1, 2]}, ["--cudagraph-capture-sizes", "1", "2"]),
        ({"limit-mm-per-prompt": {"video": 0, "image": 2}}, ["--limit-mm-per-prompt", '{"image": 2, "video": 0}']),
        # Spellings
        ({"tokenizer_mode": "mistral"}, ["--tokenizer-mode", "mistral"]),
        ({"q": "fp8"}, ["--quantization", "fp8"]),
        ({"ep": True}, ["--enable-expert-parallel"]),
        ({"O": 3}, ["--optimization-level", "3"]),
        # Keys behind a dot
        ({"speculative-config.num_speculative_tokens": 1}, ["--speculative-config.num_speculative_tokens", "1"]),
        ({"speculative_config.method": "mtp"}, ["--speculative-config.method", "mtp"]),
        ({"cc.pass_config.fuse_norm_quant": True}, ["--compilation-config.pass_config.fuse_norm_quant", "true"]),
        ({"kernel-config.autotune": False}, ["--kernel-config.autotune", "false"]),
        ({"compilation-config.backend": None}, ["--compilation-config.backend", "null"]),
        ({"compilation-config.custom_ops": ["+a", "b"]}, ["--compilation-config.custom_ops", '["+a", "b"]']),
        ({"compilation-config.custom_ops+": ["+a", "b"]}, ["--compilation-config.custom_ops", '["+a", "b"]']),
        ({"compilation-config.custom_ops+": "+a,b"}, ["--compilation-config.custom_ops+", "+a,b"]),
        ({"hf-overrides.text_config": {"x": 1}}, ["--hf-overrides.text_config", '{"x": 1}']),
        # Lists
        ({"allowed-origins": ["*"]}, ["--allowed-origins", '["*"]']),
        ({"allowed-origins": []}, ["--allowed-origins", "[]"]),
        ({"middleware": ["a.b", "c.d"]}, ["--middleware", "a.b", "--middleware", "c.d"]),
        ({"middleware": "a.b"}, ["--middleware", "a.b"]),
        ({"x": []}, []),
        (
            {"lora-modules": ["a=b/c", {"name": "d", "path": "/e"}]},
            ["--lora-modules", "a=b/c", '{"name": "d", "path": "/e"}', "--enable-lora"],
        ),
        # Words that vLLM would take for an option
        ({"x": -0.5}, ["--x=-0.5"]),
        ({"x": float("inf")}, ["--x", "inf"]),
        ({"x": "--some_text"}, ["--x=--some_text"]),
        ({"a.b": -1}, ["--a.b=-1"]),
        # Keys of a mapping are text in JSON
        ({"hf-overrides": {"x": {1: "a", "b": 2}}}, ["--hf-overrides", '{"x": {"1": "a", "b": 2}}']),
        ({"hf-overrides": {True: 1, None: 2, 1.5: 3}}, ["--hf-overrides", '{"1.5": 3, "null": 2, "true": 1}']),
    ],
)
def test_writes_arguments_as_vllm_reads_them(args: dict[str, Any], expected: list[str]) -> None:
    assert words(args) == expected


def test_the_order_of_arguments_in_the_inventory_means_nothing() -> None:
    assert words({"a": {"x": 1, "y": 2}, "b": 1}) == words({"b": 1, "a": {"y": 2, "x": 1}})


@given(st.dictionaries(st.from_regex(r"[a-z][a-z0-9_.-]{0,8}", fullmatch=True) | st.integers(), ANYTHING, max_size=4))
def test_a_model_is_the_same_after_its_own_plain_form(args: dict[Any, Any]) -> None:
    try:
        first = model(args=args)
    except arguments.FleetError as error:
        assert not any("Error" in fault or "not supported between" in fault for fault in error.faults)
        return
    again = Model.parse(json.loads(json.dumps(first.plain())), "m")
    assert again.command == first.command


# Faults

_OPTION = "expected an option of `vllm serve` without its dashes, such as max-model-len"


@pytest.mark.parametrize(("name", "why"), RESERVED.items())
def test_refuses_arguments_that_the_collection_sets(name: str, why: str) -> None:
    assert model_faults(args={name: "x"}) == [f"args.{name}: set by the collection; {why}"]
    spelling = name.replace("-", "_")
    assert model_faults(args={spelling: "x"}) == [f"args.{spelling}: set by the collection; {why}"]


@pytest.mark.parametrize(("name", "why"), arguments.REFUSED.items())
def test_refuses_arguments_that_cannot_work_here(name: str, why: str) -> None:
    for spelling in (name, name.replace("-", "_")):
        for value in ("/srv/x", True, None):
            assert model_faults(args={spelling: value}) == [f"args.{spelling}: is refused; {why}"]
    assert model(args={name: False}).args == ((name, False),)


def test_a_refused_option_is_refused_with_a_key_behind_a_dot_too() -> None:
    (fault,) = model_faults(args={"config.x": 1})
    assert fault.startswith("args.config.x: is refused; its options would not be checked")


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"--max-model-len": 1}, f"args.--max-model-len: {_OPTION}"),
        ({"-tp": 1}, f"args.-tp: {_OPTION}"),
        ({"max-model-len=1": None}, f"args.max-model-len=1: {_OPTION}"),
        ({"a b": 1}, f"args.a b: {_OPTION}"),
        ({"a..b": 1}, f"args.a..b: {_OPTION}"),
        ("--max-model-len 8192", "args: expected a mapping, got text that is not shown"),
        (["--max-model-len", 8192], "args: expected a mapping, got a list"),
        ({"a": [1, ["b"]]}, "args.a[1]: expected text, a number or a mapping, got a list"),
        ({"a": [True]}, "args.a[0]: expected text, a number or a mapping, got True"),
        ({"a": [-1]}, "args.a[0]: -1 begins with a dash, so vLLM would read an option"),
        (
            {"a": datetime.date(2026, 1, 1)},
            "args.a: expected text, a number, true, false, null, a list or a mapping, got datetime.date(2026, 1, 1)",
        ),
        (
            {"a": {"since": datetime.date(2026, 1, 1)}},
            "args.a.since: expected text, a number, true, false, null, a list or a mapping, "
            "got datetime.date(2026, 1, 1)",
        ),
        (
            {"a": {datetime.date(2026, 1, 1): 1}},
            "args.a: expected keys that are text or numbers, got datetime.date(2026, 1, 1)",
        ),
        ({"hf-overrides": {"x": float("nan")}}, "args.hf-overrides.x: expected a number that JSON has, got nan"),
        ({"hf-overrides.x": float("inf")}, "args.hf-overrides.x: expected a number that JSON has, got inf"),
        ({"a": {"b": [1.0, float("-inf")]}}, "args.a.b[1]: expected a number that JSON has, got -inf"),
        ({"a": {"b": {1: 2, "1": 3}}}, "args.a.b.1: is given twice, as text and without quotes"),
        ({1: 1, "1": 2}, "args.1: is the same option as 1; give one of the two"),
        (
            {"tp": 1, "tensor_parallel_size": 1},
            "args.tensor_parallel_size: is the same option as tp; give one of the two",
        ),
        (
            {"enable-lora": True, "no-enable-lora": True},
            "args.no-enable-lora: is the same option as enable-lora; give one of the two",
        ),
        (
            {"speculative-config": {"method": "mtp"}, "speculative-config.num_speculative_tokens": 1},
            "args.speculative-config: has no effect beside args.speculative-config.num_speculative_tokens; "
            "give one mapping, or only keys behind a dot",
        ),
        (
            {"tensor-parallel": 2},
            "args.tensor-parallel: expected the whole name of an option; did you mean 'tensor-parallel-size'?",
        ),
        ({"por": 2}, "args.por: expected the whole name of an option; did you mean 'port'?"),
    ],
)
def test_refuses_arguments_and_says_what_would_be_right(args: Any, message: str) -> None:
    assert model_faults(args=args) == [message]


# Parallel sizes


@pytest.mark.parametrize(
    ("devices", "args", "size"),
    [
        ({"gpus": 4}, {}, 4),
        ({"gpus": [2, 3]}, {}, 2),
        ({"gpus": 1}, {}, None),
        ({"cpu": True}, {}, None),
        ({"mig": "3g.40gb"}, {}, None),
        ({"gpus": 8}, {"data-parallel-size": 8, "enable-expert-parallel": True}, None),
        ({"gpus": 8}, {"pipeline-parallel-size": 2}, 4),
        ({"gpus": 8}, {"pipeline_parallel_size": "2", "dp": 2}, 2),
        ({"gpus": 8}, {"prefill-context-parallel-size": 2}, 4),
        ({"gpus": 8}, {"decode-context-parallel-size": 4}, 8),  # of the GPUs of tensor parallelism
        ({"gpus": 4}, {"nnodes": 2}, 8),
        ({"gpus": 4}, {"nnodes": 2, "pipeline-parallel-size": 2}, 4),
        ({"gpus": 4}, {"data-parallel-size": 4, "data-parallel-size-local": 2}, 2),
        ({"gpus": 4}, {"data-parallel-size": 4, "data-parallel-rank": 0}, 4),
    ],
)
def test_tensor_parallelism_takes_what_the_other_sizes_leave(
    devices: dict[str, Any], args: dict[str, Any], size: int | None
) -> None:
    found = words(args, devices=devices)
    assert found[: 2 if size else 0] == (["--tensor-parallel-size", str(size)] if size else [])
    assert found.count("--tensor-parallel-size") == (1 if size else 0)


@pytest.mark.parametrize(
    ("kind", "args", "size"),
    [
        ("image", {}, 4),
        ("image", {"usp": 2}, 2),
        ("image", {"ulysses-degree": 2, "ring_degree": 2}, None),
        ("image", {"cfg-parallel-size": 2}, 2),
        ("image", {"use-hsdp": True}, None),
        ("tts", {"stage-configs-path": "/x.yaml"}, None),
        ("tts", {"tensor-parallel-size": 1}, None),  # the other GPUs are for further stages
    ],
)
def test_counts_the_sizes_of_vllm_omni(kind: str, args: dict[str, Any], size: int | None) -> None:
    command = model(type=kind, devices={"gpus": 4}, args=args).command
    given_size = args.get("tensor-parallel-size")
    assert command.count("--tensor-parallel-size") == (1 if size or given_size else 0)
    if size:
        assert command[command.index("--tensor-parallel-size") + 1] == str(size)


@pytest.mark.parametrize(
    ("devices", "args"),
    [
        ({"gpus": 4}, {"tensor-parallel-size": 4}),
        ({"gpus": 8}, {"tp": 4, "pp": 2}),
        ({"gpus": 1}, {"tp": 1}),
        ({"mig": "3g.40gb"}, {"tensor-parallel-size": 1}),
        ({"cpu": True}, {"tensor-parallel-size": 2}),
        ({"gpus": 4}, {"tp": 8, "nnodes": 2}),
        ({"gpus": 4}, {"tp": 16, "distributed-executor-backend": "ray"}),
    ],
)
def test_takes_sizes_that_multiply_to_the_gpus(devices: dict[str, Any], args: dict[str, Any]) -> None:
    assert words(args, devices=devices).count("--tensor-parallel-size") == 1


@pytest.mark.parametrize(
    ("devices", "args", "message"),
    [
        (
            {"gpus": 4},
            {"tensor-parallel-size": 8},
            "args: expected parallel sizes that multiply to 4, the GPUs of a replica, got 8 (tensor-parallel-size 8)",
        ),
        (
            {"mig": "3g.40gb"},
            {"tp": 2},
            "args: expected parallel sizes that multiply to 1, the MIG device of a replica, "
            "got 2 (tensor-parallel-size 2)",
        ),
        (
            {"gpus": 1},
            {"dp": 2},
            "args: expected parallel sizes that divide 1, the GPU of a replica, got 2 (data-parallel-size 2)",
        ),
        (
            {"gpus": 4},
            {"tensor-parallel-size": 2},
            "args: expected parallel sizes that multiply to 4, the GPUs of a replica, got 2 (tensor-parallel-size 2)",
        ),
        (
            {"gpus": [0, 1, 2, 3]},
            {"tp": 4, "pp": 2, "dp": 2},
            "args: expected parallel sizes that multiply to 4, the GPUs of a replica, got 16 "
            "(tensor-parallel-size 4 x pipeline-parallel-size 2 x data-parallel-size 2)",
        ),
        (
            {"gpus": 8},
            {"pp": 3},
            "args: expected parallel sizes that divide 8, the GPUs of a replica, got 3 (pipeline-parallel-size 3)",
        ),
        (
            {"gpus": 4},
            {"tp": 4, "nnodes": 2},
            "args: expected parallel sizes that multiply to 8, the GPUs of a replica on 2 hosts, "
            "got 4 (tensor-parallel-size 4, on 2 hosts)",
        ),
        (
            {"gpus": 4},
            {"tensor_parallel_size": 0},
            "args.tensor_parallel_size: expected a whole number of at least 1, got 0",
        ),
        ({"cpu": True}, {"tp": "two"}, "args.tp: expected a whole number of at least 1, got 'two'"),
        ({"gpus": 2}, {"tp": True}, "args.tp: expected a whole number of at least 1, got True"),
    ],
)
def test_refuses_sizes_that_do_not_fit_the_gpus(devices: dict[str, Any], args: dict[str, Any], message: str) -> None:
    assert model_faults(devices=devices, args=args) == [message]


@pytest.mark.parametrize(
    ("args", "key"),
    [
        ({"tp": "two"}, "tp"),
        ({"pipeline_parallel_size": 0}, "pipeline_parallel_size"),
        ({"sc": "own/draft"}, "sc"),
        ({"sc": {"model": "s3://x"}}, "sc.model"),
        ({"speculative_config.model": "s3://x"}, "speculative_config.model"),
        ({"spec-model": "s3://x", "speculative-config.revision": "2"}, "spec-model"),
        ({"lora_modules": ["x"]}, "lora_modules[0]"),
        ({"chat_template": "/proc/x"}, "chat_template"),
        ({"no-enable-lora": True, "lora-modules": ["x=own/x"]}, "no-enable-lora"),
    ],
    ids=str,
)
def test_a_fault_names_an_option_as_the_inventory_does(args: dict[str, Any], key: str) -> None:
    (fault,) = model_faults(args=args)
    assert fault.startswith(f"args.{key}: ")


# What vLLM reads


@pytest.mark.parametrize(
    ("args", "mapping"),
    [
        ({"speculative-config": {"model": "org/draft"}}, {"model": "org/draft"}),
        ({"speculative-config": '{"model": "org/draft"}'}, {"model": "org/draft"}),
        (
            {"speculative_config.model": "org/draft", "sc.num_speculative_tokens": "2"},
            {"model": "org/draft", "num_speculative_tokens": 2},
        ),
        ({"speculative-config.a.b": 1, "speculative-config.a.c+": "x,y"}, {"a": {"b": 1, "c": ["x", "y"]}}),
        ({"spec-model": "org/draft", "speculative-config.revision": "2"}, {"model": "org/draft", "revision": 2}),
    ],
)
def test_reads_a_mapping_in_each_of_its_spellings(args: dict[str, Any], mapping: dict[str, Any]) -> None:
    assert options(model(args=args).args) == {"speculative-config": mapping}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe["from"] for recipe in RECIPES])
def test_means_the_same_as_the_recipe(recipe: dict[str, Any], version: str) -> None:
    known = table(version)
    try:
        theirs = parsed(shlex.split(recipe["command"]), known)
    except Refused as refusal:
        pytest.skip(f"for another version: {refusal}")
    assert parsed(own_words(recipe), known) == theirs


@pytest.mark.parametrize("recipe", RECIPES, ids=[recipe["from"] for recipe in RECIPES])
def test_each_recipe_is_for_a_version_that_is_tried(recipe: dict[str, Any]) -> None:
    faults = []
    for version in VERSIONS:
        try:
            parsed(shlex.split(recipe["command"]), table(version))
        except Refused as refusal:
            faults.append(str(refusal))
    assert len(faults) < len(VERSIONS), faults


# The tables of facts, against each version of vLLM


@pytest.mark.parametrize("version", VERSIONS)
def test_knows_the_short_names(version: str) -> None:
    for spelling, option in table(version).items():
        if not spelling.startswith("--") and spelling != "-h":
            (name,) = {
                word[2:] for word in option["options"] if word.startswith("--") and word[2:5] not in ("no-", "dis")
            }
            assert arguments.long_name(spelling[1:]) == name


@pytest.mark.parametrize("version", VERSIONS)
def test_knows_how_options_take_lists(version: str) -> None:
    known = table(version)
    append = {word[2:] for word, option in known.items() if option["kind"] == "append"}
    assert append == arguments.REPEATED & {word[2:] for word in known}
    for name in arguments.JSON_LISTS & {word[2:] for word in known}:
        assert known[f"--{name}"]["kind"] == "json_list"
    for word, option in known.items():
        if option["kind"] == "list":
            assert word[2:] not in arguments.JSON_LISTS


@pytest.mark.parametrize("version", VERSIONS)
def test_knows_the_switches_that_cannot_be_negated(version: str) -> None:
    one_way = {
        option["options"][0][2:]
        for option in table(version).values()
        if option["kind"] == "switch" and not any(word.startswith("--no-") for word in option["options"])
    }
    assert one_way - {""} - {"help"} - {word for word in one_way if word == "h"} <= arguments.ONE_WAY


@pytest.mark.parametrize("version", VERSIONS)
def test_no_option_is_taken_for_the_beginning_of_another(version: str) -> None:
    for word in table(version):
        name = arguments.long_name(word.lstrip("-"))
        if name not in RESERVED and word != "-h":
            assert arguments._name_fault(name, False) is None


@pytest.mark.parametrize("version", VERSIONS)
def test_sizes_and_reserved_options_are_vllms(version: str) -> None:
    known = table(version)
    omni = {"usp", "ring", "allgather-degree", "cfg-parallel-size"}
    for name in {*RESERVED, *arguments.REFUSED, *arguments.SIZES} - omni - {"model"}:
        assert f"--{name}" in known
