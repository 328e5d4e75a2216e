"""Families of chat models: the table against vLLM and its recipes, and what a command line gets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.families import FAMILIES, Family, family_of
from ansible_collections.inference.fleet.tests.unit.samples import fleet, model
from ansible_collections.inference.fleet.tests.vllm_options.parsed import recipes, table

ROOT = Path(__file__).resolve().parents[3]
DEFAULT = "0.31.0"  # of the default image; options.json of the engine stand-in is its copy
EACH = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.example)


def parsers(source: str) -> tuple[str | None, str | None] | None:
    family = family_of(source)
    return family and (family.tools, family.reasoning)


# The table


@pytest.mark.parametrize("version", [DEFAULT, "0.32.0", "0.33.0"])
@EACH
def test_vllm_has_the_parsers(family: Family, version: str) -> None:
    options = table(version)
    assert family.tools or family.reasoning
    for option, name in (("--tool-call-parser", family.tools), ("--reasoning-parser", family.reasoning)):
        assert name is None or name in options[option]["choices"]


@EACH
def test_an_example_is_of_its_own_family_alone(family: Family) -> None:
    assert [one for one in FAMILIES if family_of(family.example) is one] == [family]
    assert family_of(family.example.lower()) is family


SAME = {"qwen3_xml": "qwen3_coder", "glm47": "glm45", "nano_v3": "nemotron_v3"}
"""Names of the same class in vLLM 0.32, and the plugin that became a part of vLLM."""
OF_A_MODEL = [recipe for recipe in recipes() if " models/" in recipe["from"]]


@pytest.mark.parametrize("recipe", OF_A_MODEL, ids=lambda recipe: str(recipe["from"]))
def test_no_recipe_of_a_model_names_other_parsers(recipe: dict[str, Any]) -> None:
    source = recipe["from"].partition(" models/")[2].partition(".yaml")[0]
    args = {key.replace("_", "-"): value for key, value in recipe["args"].items()}
    named = args.get("tool-call-parser"), args.get("reasoning-parser")
    for theirs, ours in zip(named, parsers(source) or named, strict=True):
        assert theirs is None or SAME.get(theirs, theirs) == SAME.get(str(ours), ours)


def test_most_models_whose_recipe_names_parsers_have_a_family() -> None:
    named = {
        recipe["from"].partition(" models/")[2].partition(".yaml")[0]
        for recipe in OF_A_MODEL
        if {"tool-call-parser", "reasoning-parser"} & {key.replace("_", "-") for key in recipe["args"]}
    }
    assert {source for source in named if not family_of(source)} == {
        "CohereLabs/North-Mini-Code-1.0",  # needs a package that is not installed with vLLM
        "nvidia/NVIDIA-Nemotron-Nano-9B-v2",  # needs a plugin file
        "zai-org/GLM-GA",
        "zai-org/Glyph",
    }


# Names


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Qwen/Qwen3-0.6B", ("hermes", "qwen3")),
        ("Qwen/Qwen3-8B-AWQ", ("hermes", "qwen3")),
        ("Qwen/Qwen3-30B-A3B-GPTQ-Int4", ("hermes", "qwen3")),
        ("unsloth/Qwen3-8B-unsloth-bnb-4bit", ("hermes", "qwen3")),
        ("nvidia/Qwen3-32B-NVFP4", ("hermes", "qwen3")),
        ("RedHatAI/Qwen3-32B-FP8-dynamic", ("hermes", "qwen3")),
        ("/srv/models/Qwen3-8B", ("hermes", "qwen3")),
        ("/srv/models/qwen3-8b/", ("hermes", "qwen3")),
        ("Qwen/Qwen3-4B-Instruct-2507-FP8", ("hermes", None)),
        ("Qwen/Qwen3-4B-Thinking-2507", ("hermes", "qwen3")),
        ("Qwen/Qwen3-Coder-Next-FP8", ("qwen3_coder", None)),
        ("Qwen/Qwen2.5-Coder-32B-Instruct", ("hermes", None)),
        ("RedHatAI/Meta-Llama-3.1-8B-Instruct-quantized.w8a8", ("llama3_json", None)),
        ("hugging-quants/Meta-Llama-3.1-8B-Instruct-AWQ-INT4", ("llama3_json", None)),
        ("meta-llama/Llama-3.2-11B-Vision-Instruct", ("llama3_json", None)),
        ("meta-llama/Llama-3.3-70B-Instruct", ("llama3_json", None)),
        ("mistralai/Mistral-7B-Instruct-v0.3", ("mistral", None)),
        ("mistralai/Mistral-Small-24B-Instruct-2501", ("mistral", None)),
        ("mistralai/Devstral-Small-2507", ("mistral", None)),
        ("mistralai/Devstral-2-123B-Instruct-2512", ("mistral", None)),
        ("deepseek-ai/DeepSeek-V3", ("deepseek_v3", None)),
        ("nvidia/DeepSeek-R1-0528-NVFP4-v2", ("deepseek_v3", "deepseek_r1")),
        ("amd/DeepSeek-R1-0528-MXFP4-MTP-MoEFP4", ("deepseek_v3", "deepseek_r1")),
        ("deepseek-ai/DeepSeek-R1-0528-Qwen3-8B", (None, "deepseek_r1")),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", (None, "deepseek_r1")),
        ("openai/gpt-oss-120b", ("openai", None)),
        ("unsloth/gpt-oss-20b-BF16", ("openai", None)),
        ("zai-org/GLM-4.5-Air-FP8", ("glm45", "glm45")),
        ("moonshotai/Kimi-K2-Instruct-0905", ("kimi_k2", None)),
        ("nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-FP8", ("qwen3_coder", "nemotron_v3")),
        ("nvidia/Nemotron-3-Nano-Omni-30B-A3B-Reasoning-BF16", ("qwen3_coder", "nemotron_v3")),
        ("google/gemma-4-E4B-it", ("gemma4", "gemma4")),
        ("ibm-granite/granite-4.0-micro", ("granite4", None)),
        ("NousResearch/Hermes-4-70B-FP8", ("hermes", None)),
    ],
)
def test_knows_a_family_by_the_name(source: str, expected: tuple[str | None, str | None]) -> None:
    assert parsers(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "Qwen/Qwen3-8B-Base",
        "Qwen/Qwen2.5-7B",
        "meta-llama/Llama-3.1-8B",
        "meta-llama/Meta-Llama-3-8B-Instruct",
        "deepseek-ai/DeepSeek-V3-Base",
        "deepseek-ai/DeepSeek-V3.2-Exp",
        "deepseek-ai/DeepSeek-R1-Zero",
        "google/gemma-4-31B",
        "google/gemma-4-E4B-it-assistant",
        "google/gemma-3-12b-it",
        "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-Base-BF16",
        "ibm-granite/granite-4.0-h-small-base",
        "zai-org/GLM-4.5-Air-Base",
        "mistralai/Mistral-7B-Instruct-v0.2",
        "Qwen/Qwen3-Embedding-8B",
        "Qwen/Qwen3-Reranker-8B",
        "Qwen/Qwen3Guard-Gen-8B",
        "Qwen/Qwen3-ASR-1.7B",
        "Qwen/Qwen3-VL-Embedding-2B",
        "Qwen/Qwen2.5-VL-7B-Instruct",
        "Qwen/Qwen2.5-Math-7B-Instruct",
        "Qwen/QwQ-32B-Preview",
        "Qwen/Qwen3-8B-GGUF",
        "unsloth/gpt-oss-20b-GGUF",
        "acme/Qwen3-8B-sql",
        "acme/my-Qwen3-8B",
        "nvidia/Llama-3.1-Nemotron-70B-Instruct-HF",
        "RedHatAI/Qwen3-8B-speculator.eagle3",
        "Qwen/qwen",
        "/srv/Qwen3-8B/weights",
        "/srv/models/tiny-chat",
        "example/whole",
    ],
)
def test_other_models_have_no_family(source: str) -> None:
    assert family_of(source) is None


# The command line

BASE = ["--served-model-name", "qwen3-8b", "--port", "8000", "--allowed-media-domains", "none/"]
TOOLS = ["--enable-auto-tool-choice", "--tool-call-parser", "hermes"]
THINKS = ["--reasoning-parser", "qwen3"]


def words(source: str = "Qwen/Qwen3-8B", **changes: Any) -> list[str]:
    command = list(model(source=source, **changes).command)
    assert command[: 1 + len(BASE)] == [source, *BASE]
    return command[1 + len(BASE) :]


def test_the_parsers_are_among_the_arguments_sorted_by_name() -> None:
    args = {"max-model-len": 8192, "tokenizer-mode": "auto", "dtype": "auto"}
    expected = ["--dtype", "auto", TOOLS[0], "--max-model-len", "8192", *THINKS, "--tokenizer-mode", "auto", *TOOLS[1:]]
    assert words(args=args) == words(args=dict(reversed(args.items()))) == expected


def test_models_for_other_uses_get_none() -> None:
    assert words(type="vision") == words(type="chat") == [TOOLS[0], *THINKS, *TOOLS[1:]]
    for kind in ("embedding", "stt"):
        assert words(type=kind) == []


@pytest.mark.parametrize("off", [None, False])
def test_the_inventory_turns_a_parser_off(off: bool | None) -> None:
    assert words(args={"tool-call-parser": off}) == THINKS
    assert words(args={"reasoning_parser": off}) == TOOLS
    assert words(args={"tool-call-parser": off, "reasoning-parser": off}) == []
    assert words("own/model", args={"tool-call-parser": off}) == []


@pytest.mark.parametrize("args", [{"enable-auto-tool-choice": False}, {"no-enable-auto-tool-choice": True}], ids=str)
def test_no_automatic_choice_is_no_parser_of_tool_calls(args: dict[str, Any]) -> None:
    assert words(args=args) == ["--no-enable-auto-tool-choice", *THINKS]


def test_a_part_that_the_inventory_has_is_taken_from_there() -> None:
    assert words(args={"tool-call-parser": "qwen3_xml"}) == [TOOLS[0], *THINKS, "--tool-call-parser", "qwen3_xml"]
    assert words(args={"enable-auto-tool-choice": True}) == [TOOLS[0], *THINKS, *TOOLS[1:]]
    assert words(args={"reasoning-parser": "own"}) == [TOOLS[0], "--reasoning-parser", "own", *TOOLS[1:]]


def test_a_model_without_a_family_keeps_what_it_has() -> None:
    assert words("own/model", args={"tool-call-parser": "hermes"}) == ["--tool-call-parser", "hermes"]
    assert words("deepseek-ai/DeepSeek-R1-Distill-Qwen-7B", args={"tool-call-parser": "hermes"}) == [
        *("--reasoning-parser", "deepseek_r1"),
        *("--tool-call-parser", "hermes"),
    ]


def test_a_model_that_is_not_told_of_tools_has_no_parser_of_tool_calls() -> None:
    source, template = "deepseek-ai/DeepSeek-R1-0528", "examples/tool_chat_template_deepseekr1.jinja"
    thinks = ["--reasoning-parser", "deepseek_r1"]
    assert words(source) == thinks
    tools = [TOOLS[0], *thinks, "--tool-call-parser", "deepseek_v3"]
    assert words(source, args={"chat-template": template}) == ["--chat-template", template, *tools]


def test_the_fact_says_what_was_added() -> None:
    entries = {"name": "a", "type": "chat", "source": "Qwen/Qwen3-8B"}, {"name": "b", "type": "chat", "source": "own/b"}
    added = [one["added_args"] for one in json.loads(json.dumps(fleet(*entries).public()))["models"]]
    assert added == [["enable-auto-tool-choice", "reasoning-parser qwen3", "tool-call-parser hermes"], []]


# docs/models.md


def test_the_documentation_has_the_table() -> None:
    page = (ROOT / "docs" / "models.md").read_text()
    rows = page.partition("\n| family, such as ")[2].partition("\n\n")[0].splitlines()[2:]

    def code(text: str | None) -> str:
        return f"`{text}`" if text else ""

    assert rows == [
        f"| {code(one.example)} | {code(one.tools)} | {code(one.reasoning)} | {code(one.template)} | "
        f"{one.source or 'recipe'} |"
        for one in FAMILIES
    ]
