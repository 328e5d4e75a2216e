"""What a model names outside its own weights: read in every spelling, downloaded or mounted, and checked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.inference.fleet.plugins.module_utils.inventory.arguments import options
from ansible_collections.inference.fleet.plugins.module_utils.inventory.hub import (
    Repository,
    downloads_itself,
    repositories,
)
from ansible_collections.inference.fleet.plugins.module_utils.inventory.references import CACHE_MOUNT
from ansible_collections.inference.fleet.tests.unit.samples import (
    ANYTHING,
    entry,
    faults,
    fleet,
    model,
    model_faults,
)
from hypothesis import given
from hypothesis import strategies as st

DRAFT = {"model": "own/draft", "num_speculative_tokens": 1, "revision": "v2"}


def further(**changes: Any) -> list[Repository]:
    """The repositories besides the source."""
    return list(repositories(model(**changes))[1:])


def paths(**changes: Any) -> list[tuple[str, str, str]]:
    return [(one.key, one.path, one.kind) for one in model(**changes).host_paths]


@pytest.mark.parametrize(
    "args",
    [
        {"speculative-config": DRAFT},
        {"speculative_config": DRAFT},
        {"speculative-config": json.dumps(DRAFT)},
        {f"speculative-config.{key}": value for key, value in DRAFT.items()},
        {"sc": DRAFT},
        {"spec-model": "own/draft", "speculative-config.revision": "v2"},
    ],
    ids=str,
)
def test_a_draft_model_is_downloaded_in_every_spelling(args: dict[str, Any]) -> None:
    (_source, draft) = repositories(model(args=args))
    assert draft == Repository("own/draft", "v2")


def test_keys_behind_dots_are_read_to_any_depth() -> None:
    assert options((("a-b.c_d", '{"f": 2}'), ("a-b.c_d.e", 1), ("a-b.g", "x"))) == {
        "a-b": {"c_d": {"e": 1, "f": 2}, "g": "x"}
    }


def test_a_template_in_the_text_is_no_mapping_and_no_path() -> None:
    args = {"chat-template": "{{ messages }}"}
    assert options(tuple(args.items())) == args
    assert paths(args=args) == []


def test_a_draft_model_of_the_host_is_mounted() -> None:
    args = {"speculative-config": '{"model": "/srv/draft/"}'}
    assert paths(args=args) == [("args.speculative-config.model", "/srv/draft", "folder")]
    assert further(args=args) == []


@pytest.mark.parametrize(
    ("option", "kind"),
    [
        ("chat-template", "file"),
        ("tool-parser-plugin", "file"),
        ("log-config-file", "file"),
        ("strategy-config", "file"),
        ("reasoning-parser-plugin", "file"),
        ("structured-outputs-config.reasoning_parser_plugin", "file"),
        ("tokenizer", "folder"),
        ("hf-config-path", "folder"),
        ("generation-config", "folder"),
        ("allowed-local-media-path", "folder"),
    ],
)
def test_a_path_of_the_host_is_known_with_its_option(option: str, kind: str) -> None:
    for spelling in (option, option.replace("-", "_")):
        (one,) = model(args={spelling: "/srv/own/it"}).host_paths
        assert (one.key, one.path, one.kind) == (f"args.{spelling}", "/srv/own/it", kind)


@pytest.mark.parametrize(
    "path",
    [
        "examples/tool_chat_template_hermes.jinja",
        "/vllm-workspace/examples/x.jinja",
        f"{CACHE_MOUNT}/x.jinja",
        "../opt/x.jinja",
        "auto",
    ],
)
def test_a_path_in_the_image_is_not_of_the_host(path: str) -> None:
    assert paths(args={"chat-template": path}) == []


def test_any_file_of_the_container_may_be_read_as_media() -> None:
    assert paths(args={"allowed-local-media-path": "/"}) == []


HIDING = [
    *(
        "/",
        "/etc",
        "/proc",
        "/proc/x",
        "/sys/class",
        "/dev",
        "/dev/shm",
        "/root",
        "/bin",
        "/lib64/x",
        "/usr/lib/python3",
    ),
    *(
        "/usr/bin/vllm",
        "/usr/local",
        "/usr/local/lib/python3.12",
        "/usr/local/cuda-13.0",
        "/var",
        "/var/lib",
        "/etc/passwd",
    ),
    *("/etc/ssl/certs", "/run/secrets/x", "/opt", "/opt/nvidia", "/srv/../etc/", "/vllm-workspace"),
    *("/var/cache", "/var/cache/inference-fleet", "/var/cache/inference-fleet/x"),
]


@pytest.mark.parametrize("path", HIDING)
def test_no_mount_hides_what_the_image_or_the_kernel_has_there(path: str) -> None:
    shown = {"/srv/../etc/": "/etc"}.get(path, path)
    assert model_faults(source=path) == [
        f"source: {shown} would hide a folder of the image; use a folder of its own, such as /srv/models"
    ]
    if not path.startswith("/var/cache/inference-fleet/"):  # in args, a path of the container
        (fault,) = model_faults(adapters={"x": path})
        assert fault.startswith(f"adapters.x: {shown} would hide a folder of the image")
        (fault,) = model_faults(args={"chat-template": path})
        assert fault == (
            f"args.chat-template: {shown} would hide a file of the image; copy the file into a folder of its own, such "
            f"as /srv/models, or name a file of the image by a relative path, such as ..{shown}"
        )


@pytest.mark.parametrize(
    "path",
    [
        *(
            "/srv/x",
            "/home/me/x",
            "/data",
            "/opt/models",
            "/var/models",
            "/var/lib/models",
            "/usr/share/models",
            "/root/x",
        ),
        *("/tmp/x", "/mnt/a/b", "/dev/shm/x", "/etc/vllm/x", "/media", "/usr/local/models", "/library/x"),
    ],
)
def test_other_folders_of_the_host_are_mounted(path: str) -> None:
    for changes in ({"source": path}, {"adapters": {"x": path}}, {"args": {"chat-template": path}}):
        assert [one for _key, one, _kind in paths(**changes)] == [path]


def test_a_recipe_may_put_a_file_where_no_mount_may_be() -> None:
    def with_recipe(path: str) -> dict[str, Any]:
        return entry(recipe="own", args={"chat-template": path})

    recipes = {"own": {"files": {"/usr/share/own.jinja": "x", "/usr/bin/own": "x"}}}
    assert fleet(with_recipe("/usr/bin/own"), recipes=recipes).models
    for path in ("/usr/bin/vllm", "/proc/x"):
        (fault,) = faults(lambda path=path: fleet(with_recipe(path), recipes=recipes))
        assert fault.startswith(f"fleet_models[0].args.chat-template: {path} would hide a file of the image")


def test_weights_are_of_the_host_wherever_they_are() -> None:
    for folder in ("/var/cache/own", "/vllm-workspace/own"):
        assert paths(source=folder) == [("source", folder, "folder")]


@pytest.mark.parametrize(
    ("changes", "at_start", "before_start"),
    [
        ({}, True, False),
        ({"source": "/srv/a"}, False, False),
        ({"source": "/srv/a", "adapters": {"sql": "own/sql"}}, True, False),
        ({"env": {"HF_HUB_OFFLINE": 0}}, True, True),
        ({"source": "/srv/a", "env": {"HF_HUB_OFFLINE": 0}}, True, True),
        ({"env": {"HF_HUB_OFFLINE": "yes"}}, False, False),
    ],
)
def test_a_model_downloads_by_itself_where_its_environment_or_the_cache_says_so(
    changes: dict[str, Any], at_start: bool, before_start: bool
) -> None:
    one = model(**changes)
    assert (downloads_itself(one, True), downloads_itself(one, False)) == (at_start, before_start)


def test_code_that_overrides_name_is_downloaded_without_weights() -> None:
    overrides = {"auto_map": {"AutoConfig": "own/code--configuration_x.C", "AutoModel": "modeling_x.M"}}
    for given_ in (overrides, json.dumps(overrides)):
        assert further(args={"hf-overrides": given_}) == [Repository("own/code", weights=False)]


def test_code_of_a_tokenizer_is_a_list_of_two_classes() -> None:
    tokenizer = {"auto_map": {"AutoTokenizer": ["own/code--tokenization_x.T", None]}}
    for overrides in (tokenizer, {"text_config": tokenizer}):
        assert further(args={"hf-overrides": overrides}) == [Repository("own/code", weights=False)]
    assert model_faults(args={"hf-overrides": {"auto_map": {"AutoModel": "../x--y.C"}}}) == [
        "args.hf-overrides: expected owner/name--file.Class in auto_map, got '../x--...'"
    ]


@pytest.mark.parametrize("option", ["tokenizer", "hf-config-path", "generation-config", "speculative-config.model"])
def test_a_tokenizer_or_draft_may_be_what_a_source_may_be(option: str) -> None:
    weights = option == "speculative-config.model"
    for name in ("gpt2", "own/x"):
        assert further(args={option: name}) == [Repository(name, weights=weights)]
    assert paths(args={option: "/srv/x"}) == [(f"args.{option}", "/srv/x", "folder")]
    assert further(args={option: "../opt/x"}) == paths(args={option: "../opt/x"}) == []
    for wrong in ("s3://bucket/x", "own/x:Q4_K_M", "own/x/y", "own/..", "https://hub/x", "", "/srv/a:b", 7):
        assert model_faults(args={option: wrong}) == [
            f"args.{option}: expected a hub repository such as Qwen/Qwen3-8B, or an absolute path on the host without "
            f"a colon, got {wrong!r}"
        ]


@pytest.mark.parametrize(
    "args",
    [
        {"generation-config": "auto"},
        {"generation-config": "vllm"},
        {"speculative-config": {"method": "ngram", "model": "ngram"}},
        {"speculative-config": {"model": "[ngram]"}},
        {"speculative-config": {"method": "suffix"}},
        {"speculative-config": {"method": "mtp", "model": None}},
        {"speculative-config": {"method": "custom_class", "model": "own.module.Class"}},
    ],
    ids=str,
)
def test_a_word_of_vllm_is_no_repository(args: dict[str, Any]) -> None:
    assert further(args=args) == []


# Adapters


MODULES = ["sql=own/sql", {"name": "tone", "path": "/srv/adapters/tone"}]


@pytest.mark.parametrize(
    "changes",
    [
        {"adapters": {"sql": "own/sql", "tone": "/srv/adapters/tone/"}},
        {"args": {"lora-modules": ["sql=own/sql", "tone=/srv/adapters/tone"]}},
        {"args": {"lora-modules": ["sql=own/sql", json.dumps(MODULES[1])], "enable-lora": True}},
    ],
    ids=["key", "args", "json"],
)
def test_adapters_are_downloaded_or_mounted_and_offered(changes: dict[str, Any]) -> None:
    one = model(**changes)
    assert one.adapter_names == ("sql", "tone")
    assert further(**changes) == [Repository("own/sql")]
    assert [(path, kind) for _key, path, kind in paths(**changes)] == [("/srv/adapters/tone", "adapter")]
    assert one.command.count("--enable-lora") == 1
    assert "sql=own/sql" in one.command
    assert "--lora-modules" in one.command


def test_adapters_as_mappings_are_read_too() -> None:
    assert model(args={"lora_modules": MODULES}).adapter_names == ("sql", "tone")


def test_a_model_without_adapters_has_no_option_for_them() -> None:
    assert not [word for word in model().command if "lora" in word]


def test_an_adapter_for_a_kind_of_input_is_downloaded_and_has_no_name_of_its_own() -> None:
    args = {"default-mm-loras": '{"audio": "own/speech", "image": "/srv/vision"}'}
    assert further(args=args) == [Repository("own/speech")]
    assert paths(args=args) == [("args.default-mm-loras", "/srv/vision", "adapter")]
    assert model(args=args).adapter_names == ()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        (
            {"adapters": {"x": "own"}},
            "adapters.x: expected a hub repository such as owner/adapter, or an absolute path",
        ),
        ({"adapters": {"x": "s3://own/x"}}, "adapters.x: expected a hub repository"),
        ({"adapters": {"x": "/srv/a,b"}}, "adapters.x: expected a hub repository"),
        ({"adapters": {"x": 1}}, "adapters.x: expected a hub repository"),
        ({"adapters": {"-x": "own/x"}}, "adapters: expected names of letters, digits and . _ / - inside, got '-x'"),
        ({"adapters": ["own/x"]}, "adapters: expected a mapping"),
        ({"adapters": {"x": "/etc"}}, "adapters.x: /etc would hide a folder of the image; use a folder of its own"),
        ({"type": "tts", "adapters": {"x": "own/x"}}, "adapters: is for types that vLLM serves, not for tts"),
        (
            {"adapters": {"x": "own/x"}, "args": {"lora-modules": ["y=own/y"]}},
            "args.lora-modules: has no effect beside `adapters`; write all adapters into `adapters`",
        ),
        (
            {"adapters": {"x": "own/x"}, "args": {"enable-lora": False}},
            "args.enable-lora: expected true (the default if there are adapters), got False",
        ),
        *(
            (
                {"adapters": {name: "own/x"}},
                f"adapters: expected names of letters, digits and . _ / - inside, got {name!r}",
            )
            for name in ("a/../b", "a/./b", "a//b")
        ),
        *(
            (
                {"args": {"lora-modules": [f"x={source}"]}},
                "args.lora-modules[0]: expected a hub repository such as owner/adapter, or an absolute path on the "
                f"host without a colon or comma, got '{source}'",
            )
            for source in ("adapter", "s3://b/a", "own/a:main", "own/..", "own/a y=own/b", "/srv/a y=/srv/b", "./a")
        ),
        *(
            (
                {"args": {"lora-modules": text}},
                f"args.lora-modules: expected one adapter or a list, got {text!r}; write several as a list",
            )
            for text in ("sql=own/a tone=/srv/t", '["sql=own/a"]', "sql=own/a\ntone=own/b")
        ),
        ({"args": {"lora-modules": '{"name": "x", "path": "own"}'}}, "args.lora-modules: expected a hub repository"),
        (
            {"args": {"default-mm-loras": {"audio": "own"}}},
            "args.default-mm-loras.audio: expected a hub repository such",
        ),
        (
            {"type": "tts", "args": {"lora-modules": ["x=own/x"]}},
            "args.lora-modules: is for types that vLLM serves, not for tts",
        ),
        ({"args": {"lora-modules": ["own/x"]}}, "args.lora-modules[0]: expected NAME=SOURCE or {name: NAME"),
        ({"args": {"lora-modules": "a=b,c"}}, "args.lora-modules: expected NAME=SOURCE or {name: NAME"),
        ({"args": {"allowed-local-media-path": "/etc"}}, "args.allowed-local-media-path: /etc would hide a folder of"),
        ({"args": {"tokenizer": "/proc/1/root"}}, "args.tokenizer: /proc/1/root would hide a folder of the image"),
        ({"args": {"speculative-config": "own/draft"}}, "args.speculative-config: expected a mapping or its JSON text"),
        ({"args": {"hf-overrides": '{"a": '}}, "args.hf-overrides: expected a mapping or its JSON text, got "),
        ({"args": {"speculative-config": None}}, "args.speculative-config: expected a mapping or its JSON text"),
    ],
)
def test_refuses_what_could_not_be_loaded(changes: dict[str, Any], fault: str) -> None:
    (found,) = model_faults(**changes)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    "entries",
    [
        [entry(name="a", adapters={"b": "own/x"}), entry(name="b")],
        [entry(name="a", adapters={"x": "own/x"}), entry(name="b", args={"lora-modules": ["x=own/y"]})],
        [entry(name="a", adapters={"a": "own/x"})],
    ],
)
def test_no_adapter_has_the_name_of_a_model_or_another_adapter(entries: list[dict[str, Any]]) -> None:
    found = faults(fleet, *entries)
    assert found
    assert all("is also the name of a model or of another adapter" in fault for fault in found)


def test_an_adapter_that_is_given_twice_is_one_fault_at_its_own_key() -> None:
    assert faults(fleet, entry(args={"lora-modules": ["x=own/a", "x=own/b"]})) == [
        "fleet_models[0].args.lora-modules: 'x' is also the name of a model or of another adapter"
    ]


def test_one_adapter_may_be_given_as_text() -> None:
    for text in ("sql=own/sql", ' {"name": "sql", "path": "own/sql"}'):
        assert model(args={"lora-modules": text}).all_adapters == (("sql", "own/sql"),)
    assert model(args={"lora-modules": ["x=/srv/my adapters"]}).all_adapters == (("x", "/srv/my adapters"),)


def test_a_key_may_name_an_adapter() -> None:
    one = entry(name="a", adapters={"sql": "own/sql"})
    assert fleet(one, keys=[{"alias": "app", "models": ["sql"]}]).keys[0].models == ("sql",)
    (fault,) = faults(lambda: fleet(one, keys=[{"alias": "app", "models": ["sqll"]}]))
    assert fault == "fleet_keys[0].models: the fleet has no model 'sqll'; did you mean 'sql'?"


def test_the_fact_has_the_names_of_the_adapters() -> None:
    assert fleet(entry(adapters={"sql": "own/sql"})).public()["models"][0]["adapters"] == ["sql"]


@given(st.dictionaries(st.sampled_from(["lora-modules", "speculative-config", "hf-overrides", "spec-model"]), ANYTHING))
def test_anything_can_be_read(args: dict[str, Any]) -> None:
    """No value of these options raises anything but a fault."""
    try:
        one = model(args=args)
    except Exception as error:
        assert type(error).__name__ == "FleetError", error
    else:
        assert repositories(one)
        assert isinstance(one.host_paths, tuple)
